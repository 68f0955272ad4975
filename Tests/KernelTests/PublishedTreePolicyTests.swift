import Foundation
import Testing

extension KernelSuite {
    /// KubeArmor's own container policies, word for word, each as the policy of a supervised tree that does what it is about.
    @Suite("Published container policies")
    struct PublishedTreePolicyTests {
        /// What one tree does under one policy, and what comes of it.
        struct Scenario: Sendable, CustomTestStringConvertible {
            /// The published policy's file, without its ending.
            var file: String
            var words: [String]
            /// What it prints; `nil` for whatever it is.
            var output: String?
            var error = ""
            var status: Int32? = 0
            /// Policy, operation, beginning of the resource, process, action of the one alert; none without.
            var alert: (policy: String, operation: String, resource: String, process: String, action: String)?
            var options: [String] = []

            var testDescription: String { "\(file): \(words.joined(separator: " "))" }
        }

        private static let multi = "tests__k8s_env__ksp__multiubuntu__ksp-"
        private static let scenarios = "tests__k8s_env__scenarios__github_test_"
        private static let network = "tests__k8s_env__networktests__res__ksp-"
        private static let plain = "tests__nonk8s_env__ksp__res__ksp-"
        private static let victim = "/usr/bin/portcullis-victim"
        private static let asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        private static let refused = "Operation not permitted"
        private static let blockFiles = ["--file-posture", "block"]

        private static func passes(_ file: String, _ words: [String], _ output: String?) -> Scenario {
            Scenario(file: file, words: words, output: output)
        }

        private static let processes: [Scenario] = [
            Scenario(
                file: multi + "group-1-block-proc-path-from-source", words: ["dash", "-c", "/bin/ls /home; exit 3"],
                output: "", error: refused, status: 3,
                alert: (
                    "ksp-group-1-block-proc-path-from-source", "Process", "/usr/bin/ls /home", "/usr/bin/ls", "Block"
                )),
            passes(multi + "group-1-block-proc-path-from-source", ["bash", "-c", "ls /home; true"], "user1\n"),
            Scenario(
                file: scenarios + "01__ksp-ubuntu-1-proc-path-block-from-source",
                words: ["dash", "-c", "/bin/ls /home; exit 3"], output: "", error: refused, status: 3,
                alert: (
                    "ksp-ubuntu-1-proc-path-block-from-source", "Process", "/usr/bin/ls /home", "/usr/bin/ls", "Block"
                )),
            Scenario(
                file: multi + "group-2-audit-proc-path", words: ["bash", "-c", "sleep 0; echo slept"],
                output: "slept\n",
                alert: ("ksp-group-2-audit-proc-path", "Process", "/usr/bin/sleep 0", "/usr/bin/sleep", "Audit")),
            Scenario(
                file: multi + "ubuntu-1-block-proc-execname", words: ["bash", "-c", "apt --version; exit 3"],
                output: "", error: refused, status: 3,
                alert: (
                    "ksp-ubuntu-1-block-proc-execname", "Process", "/usr/bin/apt --version", "/usr/bin/apt", "Block"
                )),
            Scenario(
                file: multi + "match-expression-in-notin-block-process",
                words: ["bash", "-c", "apt --version; exit 3"],
                output: "", error: refused, status: 3,
                alert: (
                    "ksp-match-expression-in-notin-block-process", "Process", "/usr/bin/apt --version", "/usr/bin/apt",
                    "Block"
                )),
            Scenario(
                file: multi + "ubuntu-1-block-proc-dir-recursive", words: ["ls", "/home"], output: "",
                error: "ls: Operation not permitted", status: 1,
                alert: ("ksp-ubuntu-1-block-proc-dir-recursive", "Process", "/usr/bin/ls /home", "/usr/bin/ls", "Block")
            ),
            Scenario(
                file: multi + "ubuntu-3-block-proc-path-owner",
                words: asNobody + ["/home/user1/hello"],
                output: "", error: refused, status: nil,
                alert: (
                    "ksp-ubuntu-3-block-proc-path-owner", "Process", "/home/user1/hello", "/home/user1/hello", "Block"
                )),
            passes(multi + "ubuntu-3-block-proc-path-owner", ["/home/user1/hello"], "hello\n"),
            Scenario(
                file: plain + "audit-process-apt-pattern", words: ["bash", "-c", "apt --version > /dev/null; echo $?"],
                output: "100\n",
                alert: (
                    "ksp-audit-process-apt-pattern", "Process", "/usr/bin/apt --version", "/usr/bin/apt", "Audit"
                )),
        ]

        private static let files: [Scenario] = [
            Scenario(
                file: multi + "group-2-block-file-path-from-source-path", words: ["cat", "/secret.txt"], output: "",
                error: refused, status: 1,
                alert: ("ksp-group-2-block-file-path-from-source-path", "File", "/secret.txt", "/usr/bin/cat", "Block")),
            passes(multi + "group-2-block-file-path-from-source-path", ["head", "/secret.txt"], "SECRET\n"),
            Scenario(
                file: scenarios + "04__ksp-ubuntu-1-file-path-block-from-source", words: ["cat", "/secret.txt"],
                output: "", error: refused, status: 1,
                alert: ("ksp-ubutnu-1-file-path-block-from-source", "File", "/secret.txt", "/usr/bin/cat", "Block")),
            Scenario(
                file: multi + "ubuntu-4-block-file-dir-recursive", words: ["cat", "/credentials/keys/deep"], output: "",
                error: refused, status: 1,
                alert: (
                    "ksp-ubuntu-4-block-file-dir-recursive", "File", "/credentials/keys/deep", "/usr/bin/cat", "Block"
                )),
            passes(multi + "ubuntu-4-block-file-path-readonly", ["cat", "/credentials/password"], "PASSWORD\n"),
            Scenario(
                file: multi + "ubuntu-4-block-file-path-readonly",
                words: ["bash", "-c", "echo x > /credentials/password; exit 3"], output: "",
                error: "Permission denied", status: 3,
                alert: (
                    "ksp-ubuntu-4-block-file-path-readonly", "File", "/credentials/password", "/usr/bin/bash", "Block"
                )),
            Scenario(
                file: multi + "ubuntu-4-block-file-path-readonly-from-source-path",
                words: ["/readwrite", "write", "/credentials/password"], output: "errno 13 EACCES\n", status: nil,
                alert: (
                    "ksp-ubuntu-4-block-file-path-readonly-from-source-path", "File", "/credentials/password",
                    "/readwrite", "Block"
                )),
            passes(
                multi + "ubuntu-4-block-file-path-readonly-from-source-path",
                [victim, "write", "/credentials/password"], "ok\n"),
            passes(
                multi + "ubuntu-3-block-file-dir-owner-readonly", ["cat", "/home/user1/secret_data1.txt"], "DATA\n"),
            Scenario(
                file: multi + "ubuntu-3-block-file-dir-owner-readonly",
                words: ["bash", "-c", "echo x >> /home/user1/secret_data1.txt; exit 3"], output: "",
                error: "Permission denied", status: 3,
                alert: (
                    "ksp-ubuntu-3-block-file-dir-owner-readonly", "File", "/home/user1/secret_data1.txt",
                    "/usr/bin/bash", "Block"
                )),
            Scenario(
                file: multi + "ubuntu-3-block-file-dir-recursive-owner-readonly",
                words: asNobody + ["cat", "/home/user1/sub/data"], output: "", error: refused,
                status: nil,
                alert: (
                    "ksp-ubuntu-3-block-file-dir-recursive-owner-readonly", "File", "/home/user1/sub/data",
                    "/usr/bin/cat", "Block"
                )),
            Scenario(
                file: plain + "audit-file-access", words: ["cat", "/etc/passwd"],
                output: "root:x:0:0:root:/root:/bin/sh\n",
                alert: ("ksp-audit-file-access", "File", "/etc/passwd", "/usr/bin/cat", "Audit")),
            Scenario(
                file: plain + "audit-file-pattern", words: ["cat", "/tmp/plain"], output: "PLAIN\n",
                alert: ("ksp-audit-file-pattern", "File", "/tmp/plain", "/usr/bin/cat", "Audit")),
        ]

        private static let syscalls = "tests__k8s_env__syscalls__manifests__"
        private static let unlink = ["unlink", "/home/user1/sub/data"]

        private static func reports(_ file: String, _ policy: String, _ words: [String]) -> Scenario {
            Scenario(
                file: file, words: words, output: "",
                alert: (policy, "Syscall", words[1], "/usr/bin/unlink", "Audit"))
        }

        private static let calls: [Scenario] = [
            reports(syscalls + "matchpaths__unlink-file-path", "audit-unlink-file-path", ["unlink", "/dummy"]),
            reports(
                syscalls + "matchpaths__unlink-dir-recursive-fromsource-path",
                "audit-unlink-dir-recursive-fromsource-path", unlink),
            reports(
                syscalls + "matchpaths__unlink-dir-recursive-fromsource-dir",
                "audit-unlink-dir-recursive-fromsource-dir", unlink),
            reports(
                syscalls + "matchpaths__matchpaths-global-fill-missing-local-information",
                "audit-unlink-global-fill-missing-local-information", unlink),
            reports(
                syscalls + "matchpaths__matchpaths-local-trumps-global-information",
                "audit-unlink-local-trumps-global-information", unlink),
            reports(syscalls + "matchsyscalls__unlink-fromsource", "audit-unlink-fromsource", unlink),
            reports("tests__nonk8s_env__host_policy__res__hsp-audit-syscall", "hsp-audit-syscall", unlink),
            passes(syscalls + "matchpaths__unlink-file-path", ["unlink", "/tmp/plain"], ""),
        ]

        private static let capabilities: [Scenario] = [
            Scenario(
                file: multi + "ubuntu-1-block-net-raw-cap", words: [victim, "socket", "2", "3", "1"],
                output: "errno 1 EPERM\n", status: nil,
                alert: ("ksp-ubuntu-1-block-net-raw-cap", "Capabilities", "CAP_NET_RAW", victim, "Block")),
            passes(multi + "ubuntu-1-block-net-raw-cap", [victim, "socket", "2", "2", "0"], "ok\n"),
        ]

        private static let sockets: [Scenario] = [
            Scenario(
                file: multi + "ubuntu-1-block-net-raw", words: [victim, "socket", "2", "3", "1"],
                output: "errno 13 EACCES\n", status: nil,
                alert: ("ksp-ubuntu-1-block-net-raw", "Network", "protocol=ICMP type=SOCK_RAW", victim, "Block")),
            Scenario(
                file: multi + "ubuntu-1-audit-net-raw", words: [victim, "socket", "2", "3", "1"], output: "ok\n",
                alert: ("ksp-ubuntu-1-audit-net-raw", "Network", "domain=AF_INET type=SOCK_RAW", victim, "Audit")),
            passes(multi + "ubuntu-1-block-net-raw", [victim, "socket", "2", "1", "0"], "ok\n"),
            passes(plain + "audit-protocol-tcp", [victim, "socket", "2", "1", "0"], "ok\n"),
            Scenario(
                file: plain + "audit-protocol-tcp", words: ["/usr/bin/curl", "socket", "2", "1", "0"], output: "ok\n",
                alert: (
                    "ksp-audit-protocol-tcp", "Network", "domain=AF_INET type=SOCK_STREAM", "/usr/bin/curl", "Audit"
                )),
            Scenario(
                file: multi + "ubuntu-1-allow-net-tcp-from-source", words: [victim, "socket", "2", "1", "0"],
                output: "errno 13 EACCES\n", status: nil,
                alert: ("DefaultPosture", "Network", "protocol=TCP type=SOCK_STREAM", victim, "Block"),
                options: ["--network-posture", "block"]),
            Scenario(
                file: multi + "ubuntu-1-allow-net-tcp-from-source", words: ["/usr/bin/curl", "socket", "2", "1", "0"],
                output: "ok\n", options: ["--network-posture", "block"]),
        ]

        private func root() throws -> PrivateRoot {
            let root = try PrivateRoot(
                hostName: "node",
                programs: ["bash", "dash", "ls", "cat", "head", "apt", "setpriv", "unlink", "busybox"])
            for directory in ["/home/user1/sub", "/credentials/keys", "/root"] {
                try FileManager.default.createDirectory(
                    atPath: root.mount + directory, withIntermediateDirectories: true)
            }
            for (name, text) in [
                ("/secret.txt", "SECRET\n"), ("/dummy", "DUMMY\n"), ("/credentials/password", "PASSWORD\n"),
                ("/credentials/keys/deep", "KEY\n"),
                ("/home/user1/secret_data1.txt", "DATA\n"), ("/home/user1/sub/data", "DATA\n"),
                ("/tmp/plain", "PLAIN\n"),
                ("/home/user1/hello", "#!/bin/bash\necho hello\n"),
            ] { try root.write(name, text) }
            try root.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
            try Self.prepareOthers(root)
            chmod(root.mount + "/home/user1/hello", 0o755)
            for name in ["/usr/bin/curl", "/readwrite"] {
                try FileManager.default.copyItem(
                    atPath: AgentUnderTest.binaries + "/portcullis-victim", toPath: root.mount + name)
            }
            return root
        }

        /// Every published policy is what a scenario is about, or a host's, or it is said why not.
        @Test func noPublishedPolicyIsLeftOut() throws {
            let shown = Set(
                (Self.processes + Self.files + Self.calls + Self.capabilities + Self.sockets + Self.others).map(\.file))
            for name in try TestFiles.publishedPolicies() where !shown.contains(name) {
                let isHosts = name.contains("__hsp-")
                #expect(isHosts || Self.elsewhere[name] != nil, "\(name)")
            }
            #expect(shown.isDisjoint(with: Self.elsewhere.keys))
        }

        @Test(
            arguments: Effort.some(of: processes + files + calls + capabilities + sockets), AgentMode.allCases)
        func aTreeDoesWhatItsPolicyLets(_ scenario: Scenario, _ mode: AgentMode) throws {
            let root = try root()
            let agent = try AgentUnderTest(root, policies: [:], options: scenario.options + mode.options)
            let name = "/state/tree.yaml"
            try root.write(name, try TestFiles.publishedPolicy(scenario.file))
            let before = root.text("/credentials/password")
            let result = agent.tool(["run", "--policies", name, "--"] + scenario.words)
            if let output = scenario.output { #expect(result.output == output, "\(result)") }
            if let status = scenario.status { #expect(result.status == status, "\(result)") }
            let error = scenario.error.replacingOccurrences(of: Self.refused, with: mode.refusal)
            #expect(error.isEmpty || result.error.contains(error), "\(result)")
            let alerts = agent.alerts(atLeast: scenario.alert == nil ? 0 : 1)
            #expect(alerts.count == (scenario.alert == nil ? 0 : 1), "\(alerts.map(\.fields))")
            if let expected = scenario.alert, let alert = alerts.first {
                #expect(alert["PolicyName"] == expected.policy)
                #expect(alert["Operation"] == expected.operation)
                #expect(alert["Resource"]?.hasPrefix(expected.resource) == true, "\(alert.fields)")
                #expect(alert["ProcessName"] == expected.process)
                #expect(alert["Action"] == expected.action)
                #expect(alert["Result"] == (expected.action == "Block" ? "Permission denied" : "Passed"))
            }
            agent.stop()
            if scenario.error == "Permission denied" { #expect(root.text("/credentials/password") == before) }
        }

        /// The rest of them, in one mode each.
        @Test(arguments: Effort.some(of: otherCases)) func otherPoliciesHold(_ scenario: Scenario, _ mode: AgentMode)
            throws
        {
            try aTreeDoesWhatItsPolicyLets(scenario, mode)
        }

        private static let otherCases: [(Scenario, AgentMode)] = others.enumerated().map {
            ($0.element, AgentMode.allCases[$0.offset % AgentMode.allCases.count])
        }
    }
}
