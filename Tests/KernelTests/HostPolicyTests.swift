import Foundation
import Testing

extension KernelSuite {
    /// KubeArmor's own test policies for hosts, word for word, each with what its test suite does and expects.
    @Suite("Published host policies")
    struct HostPolicyTests {
        private static let k8s = "tests__k8s_env__host_scenarios__kubearmor-dev-next_"
        private static let plain = "tests__nonk8s_env__host_policy__res__"
        private static let programs = ["bash", "ls", "cat", "head", "diff", "date", "apt-get"]

        /// What a whole file allow-list has to contain besides what the scenario is about: otherwise no program finds its libraries.
        private static let libraries = AgentUnderTest.policy(
            "libraries",
            file: "matchDirectories: [{dir: /usr/, recursive: true}, {dir: /opt/, recursive: true}, "
                + "{dir: /proc/, recursive: true}, {dir: /dev/, recursive: true}], "
                + "matchPaths: [{path: /etc/ld.so.cache}]",
            action: "Allow")

        private func start(
            _ names: String..., others: [String: String] = [:], options: [String] = []
        ) throws -> (PrivateRoot, AgentUnderTest) {
            let root = try PrivateRoot(hostName: "kubearmor-dev-next", programs: Self.programs)
            var policies = others
            for name in names { policies["\(name).yaml"] = try TestFiles.publishedPolicy(name) }
            return (root, try AgentUnderTest(root, policies: policies, options: options))
        }

        private struct Expected {
            var policy: String
            var operation: String
            var resource: String
            var process: String
            var action = "Block"
            var severity = ""
            var message = ""
        }

        /// Exactly one alert about the resource, and what it says.
        private func expectAlert(
            _ agent: AgentUnderTest, _ expected: Expected, sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let alerts = agent.alerts(atLeast: 1) { $0["Resource"]?.hasPrefix(expected.resource) == true }
            #expect(alerts.count == 1, "\(alerts.map(\.fields))", sourceLocation: sourceLocation)
            guard let alert = alerts.first else { return }
            #expect(alert["PolicyName"] == expected.policy, sourceLocation: sourceLocation)
            #expect(alert["Operation"] == expected.operation, sourceLocation: sourceLocation)
            #expect(alert["ProcessName"] == expected.process, sourceLocation: sourceLocation)
            #expect(alert["Action"] == expected.action, sourceLocation: sourceLocation)
            #expect(alert["Severity"] ?? "" == expected.severity, sourceLocation: sourceLocation)
            #expect(alert["Message"] ?? "" == expected.message, sourceLocation: sourceLocation)
            #expect(
                alert["Result"] == (expected.action == "Block" ? "Permission denied" : "Passed"),
                sourceLocation: sourceLocation)
            #expect(alert["HostName"] == "kubearmor-dev-next", sourceLocation: sourceLocation)
        }

        private func expectRefused(_ result: Shell.Result, sourceLocation: SourceLocation = #_sourceLocation) {
            #expect(result.status != 0, "\(result)", sourceLocation: sourceLocation)
            #expect(result.output == "", sourceLocation: sourceLocation)
            #expect(result.error.contains("Operation not permitted"), "\(result)", sourceLocation: sourceLocation)
        }

        // MARK: - Without Kubernetes

        @Test func auditHostsFromSource() throws {
            let (_, agent) = try start(Self.plain + "hsp-audit-hosts-fromsource")
            #expect(agent.run(["head", "/etc/hosts"]).output == "127.0.0.1 localhost\n")
            #expect(agent.alerts().isEmpty)
            #expect(agent.run(["cat", "/etc/hosts"]).output == "127.0.0.1 localhost\n")
            expectAlert(
                agent,
                Expected(
                    policy: "hsp-audit-hosts-fromsource", operation: "File", resource: "/etc/hosts",
                    process: "/usr/bin/cat", action: "Audit", severity: "7",
                    message: "Process /usr/bin/cat cat attempted to read /etc/hosts"))
        }

        @Test func blockFileDirectoryEtc() throws {
            let (root, agent) = try start(Self.plain + "hsp-block-file-dir-etc")
            expectRefused(agent.run(["cat", "/etc/hostname"]))
            expectAlert(
                agent,
                Expected(
                    policy: "hsp-block-file-dir", operation: "File", resource: "/etc/hostname",
                    process: "/usr/bin/cat"))
            expectRefused(agent.run(["cat", "/etc/default/useradd"]))
            #expect(agent.run(["cat", "/proc/sys/kernel/hostname"]).output == "kubearmor-dev-next\n")
            agent.stop()
            #expect(root.text("/etc/hostname") == "kubearmor-dev-next\n")
        }

        @Test func blockFilePattern() throws {
            let (root, agent) = try start(Self.plain + "hsp-block-file-pattern")
            try FileManager.default.createDirectory(
                atPath: root.mount + "/home/sub", withIntermediateDirectories: true)
            try root.write("/home/sub/file", "PLAIN\n")
            #expect(agent.run(["cat", "/home/sub/file"]).output == "PLAIN\n")
            let result = agent.victim("create", "/tmp/file")
            #expect(result.output.contains("EPERM"), "\(result)")
            expectAlert(
                agent,
                Expected(
                    policy: "hsp-block-file-pattern", operation: "File", resource: "/tmp/file",
                    process: "/usr/bin/portcullis-victim", severity: "4", message: "file event"))
            agent.stop()
            #expect(root.text("/tmp/file") == "")
        }

        @Test func blockProcessAfterUpdate() throws {
            let name = Self.plain + "hsp-block-process-after-update"
            let before = try TestFiles.publishedPolicy(name).replacingOccurrences(
                of: "/usr/bin/ls", with: "/usr/bin/date")
            let (_, agent) = try start(others: ["\(name).yaml": before])
            #expect(agent.run(["ls", "/home"]).status == 0)
            expectRefused(agent.run(["date"]))
            let change = agent.tool("apply", "-f", "-", input: try TestFiles.publishedPolicy(name))
            #expect(change.status == 0, "\(change)")
            expectRefused(agent.run(["ls", "/home"]))
            expectAlert(
                agent,
                Expected(
                    policy: "hsp-update-test", operation: "Process", resource: "/usr/bin/ls", process: "/usr/bin/ls"))
        }

        @Test func blockProcessAptPattern() throws {
            let (_, agent) = try start(Self.plain + "hsp-block-process-apt-pattern")
            expectRefused(agent.run(["apt-get", "--version"]))
            expectAlert(
                agent,
                Expected(
                    policy: "hsp-block-apt-commands", operation: "Process", resource: "/usr/bin/apt-get",
                    process: "/usr/bin/apt-get", severity: "5", message: "All apt commands are blocked"))
            #expect(agent.run(["ls", "/home"]).status == 0)
        }

        @Test func blockProcessLs() throws {
            let (_, agent) = try start(Self.plain + "hsp-block-process-ls")
            expectRefused(agent.run(["ls", "/home"]))
            expectAlert(
                agent,
                Expected(
                    policy: "hsp-proc-path-block", operation: "Process", resource: "/usr/bin/ls",
                    process: "/usr/bin/ls"))
            #expect(agent.run(["cat", "/etc/hostname"]).output == "kubearmor-dev-next\n")
        }

        /// What fanotify has no event for is said, not passed over.
        @Test(arguments: [("hsp-audit-network-protocol", "network"), ("hsp-audit-syscall", "syscalls")])
        func whatThisAgentCannotSeeIsReported(name: String, section: String) throws {
            let (_, agent) = try start(Self.plain + name)
            let status = agent.tool("status").output
            #expect(status.contains(name) && status.contains(section), "\(status)")
            #expect(agent.log.contains(name) && agent.log.contains(section), "\(agent.log)")
        }

        // MARK: - With Kubernetes' host labels

        @Test func processPathBlock() throws {
            let (_, agent) = try start(Self.k8s + "test_01__hsp-kubearmor-dev-next-proc-path-block")
            expectRefused(agent.run(["bash", "-c", "diff --help; exit 1"]))
            expectAlert(
                agent,
                Expected(
                    policy: "hsp-kubearmor-dev-next-proc-path-block", operation: "Process",
                    resource: "/usr/bin/diff --help", process: "/usr/bin/diff", severity: "5"))
        }

        @Test func filePathBlock() throws {
            let (root, agent) = try start(Self.k8s + "test_03__hsp-kubearmor-dev-next-file-path-block")
            expectRefused(agent.run(["cat", "/etc/hostname"]))
            expectAlert(
                agent,
                Expected(
                    policy: "hsp-kubearmor-dev-next-file-path-block", operation: "File", resource: "/etc/hostname",
                    process: "/usr/bin/cat", severity: "5"))
            agent.stop()
            #expect(root.text("/etc/hostname") == "kubearmor-dev-next\n")
        }

        @Test func processPathBlockFromSource() throws {
            let (_, agent) = try start(Self.k8s + "test_04__hsp-kubearmor-dev-next-proc-path-block-fromSource")
            // A child of a shell, and a shell that is replaced by its command and is itself a shell's child.
            for script in ["date; exit 1", "bash -c date; exit 1"] {
                expectRefused(agent.run(["bash", "-c", script]))
            }
            let alerts = agent.alerts(atLeast: 2)
            #expect(alerts.count == 2, "\(alerts.map(\.fields))")
            for alert in alerts {
                #expect(alert["PolicyName"] == "hsp-kubearmor-dev-next-proc-path-block-fromsource")
                #expect(alert["Resource"] == "/usr/bin/date")
                #expect(alert["Source"] == "/usr/bin/bash")
                #expect(alert["Action"] == "Block")
            }
            #expect(agent.run(["bash", "-c", "ls /home"]).status == 0)
            #expect(agent.run(["date"]).status == 0)
            #expect(agent.alerts().count == 2)
        }

        @Test(arguments: ["block", "audit"])
        func fileAllowListFromSource(posture: String) throws {
            let (_, agent) = try start(
                Self.k8s + "test_07__hsp-kubearmor-dev-next-file-path-allow-fromSource",
                others: ["libraries.yaml": Self.libraries], options: ["--file-posture", posture])
            #expect(agent.run(["head", "/etc/hostname"]).output == "kubearmor-dev-next\n")
            expectPosture(agent, posture, ["head", "/etc/hosts"], passes: "127.0.0.1 localhost\n")
        }

        @Test(arguments: ["block", "audit"])
        func directoryAllowListFromSource(posture: String) throws {
            let (_, agent) = try start(
                Self.k8s + "test_08__hsp-kubearmor-dev-next-file-dir-allow-fromSource",
                others: ["libraries.yaml": Self.libraries], options: ["--file-posture", posture])
            #expect(agent.run(["head", "/etc/default/useradd"]).output == "SHELL=/bin/sh\n")
            expectPosture(agent, posture, ["head", "/etc/hostname"], passes: "kubearmor-dev-next\n")
            expectPosture(agent, posture, ["cat", "/etc/default/useradd"], passes: "SHELL=/bin/sh\n")
        }

        /// An operation that no rule of an allow-list names.
        private func expectPosture(
            _ agent: AgentUnderTest, _ posture: String, _ command: [String], passes output: String,
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let result = agent.run(command)
            if posture == "block" {
                expectRefused(result, sourceLocation: sourceLocation)
            } else {
                #expect(result.output == output, sourceLocation: sourceLocation)
            }
            let alerts = agent.alerts(atLeast: 1) {
                $0["Resource"] == command[1] && $0["ProcessName"] == "/usr/bin/\(command[0])"
            }
            #expect(alerts.count == 1, "\(alerts.map(\.fields))", sourceLocation: sourceLocation)
            #expect(alerts.first?["PolicyName"] == "DefaultPosture", sourceLocation: sourceLocation)
            #expect(alerts.first?["Action"] == (posture == "block" ? "Block" : "Audit"), sourceLocation: sourceLocation)
        }
    }
}
