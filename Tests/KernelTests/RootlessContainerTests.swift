import Foundation
import Testing

extension KernelSuite {
    /// Containers of a user without privileges, held by an agent of that user: a worker in the containers' user namespace performs their calls.
    @Suite("Rootless containers")
    struct RootlessContainerTests {
        private static let policy = """
            apiVersion: security.kubearmor.com/v1
            kind: KubeArmorPolicy
            metadata: {name: ksp, namespace: default}
            spec:
              selector: {matchLabels: {app: web}}
              severity: 7
              file: {matchPaths: [{path: /etc/shadow}], matchDirectories: [{dir: /secret/, recursive: true}]}
              process: {matchPaths: [{path: /bin/denied}]}
              network: {matchProtocols: [{protocol: udp}]}
              action: Block

            """

        private func start() throws -> (AgentUnderTest, ContainerBundle) {
            let agent = try AgentUnderTest(
                Scratch(ownedBy: Scratch.user), policies: ["p.yaml": Self.policy], options: ["--rootless"])
            return (agent, try ContainerBundle(agent, ownedBy: Scratch.user))
        }

        private static let victim = "/usr/bin/portcullis-victim"

        /// What the victim tries, as which operation it is reported, and on what.
        private static let attempts: [(words: [String], operation: String, resource: String)] = [
            (["read", "/etc/shadow"], "File", "/etc/shadow"), (["write", "/etc/shadow"], "File", "/etc/shadow"),
            (["read", "/data/hard"], "File", "/data/hard"),
            (["reopen", "/etc/shadow"], "File", "/etc/shadow"), (["dirfd", "/etc", "shadow"], "File", "/etc/shadow"),
            (["read", "/proc/self/root/etc/shadow"], "File", "/etc/shadow"),
            (["rename", "/etc/shadow", "/data/s"], "File", "/etc/shadow"),
            (["unlink", "/etc/shadow"], "File", "/etc/shadow"), (["chmod", "/etc/shadow"], "File", "/etc/shadow"),
            (["creat", "/secret/new"], "File", "/secret/new"),
            (["unix-bind", "/secret/socket"], "File", "/secret/socket"),
            (["exec", "/bin/denied"], "Process", "/usr/bin/denied"),
            (["socket", "2", "2", "0"], "Network", "protocol=UDP"),
        ]

        @Test(arguments: ContainerBundle.Runtime.allCases) func whatItsPoliciesBlockFails(
            runtime: ContainerBundle.Runtime
        ) throws {
            let (agent, bundle) = try start()
            for (index, attempt) in Self.attempts.enumerated() {
                try bundle.configure([Self.victim] + attempt.words)
                let result = Shell.run(bundle.command(runtime))
                #expect(result.output == "errno 13 EACCES\n", "\(attempt.words): \(result) \(agent.log)")
                let alerts = agent.alerts(atLeast: index + 1)
                #expect(alerts.count == index + 1, "\(attempt.words): \(alerts.map(\.fields))")
                let alert = alerts.last
                let expected = [
                    "PolicyName": "ksp", "Type": "MatchedPolicy", "Operation": attempt.operation, "Action": "Block",
                    "Result": "Permission denied", "Enforcer": "seccomp", "ContainerName": "web", "Labels": "app=web",
                    "NamespaceName": "container_namespace",
                ]
                for (key, value) in expected { #expect(alert?[key] == value, "\(key) \(alert?.fields ?? [:])") }
                #expect(alert?["Resource"]?.hasPrefix(attempt.resource) == true, "\(alert?["Resource"] ?? "")")
            }
            #expect(bundle.text("/etc/shadow") == "SECRET\n")
            #expect(try FileManager.default.contentsOfDirectory(atPath: bundle.directory + "/rootfs/data") == ["hard"])
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: bundle.directory + "/rootfs/secret") == ["deep"])
        }

        /// Other ids of the namespace, their files and its capabilities included.
        @Test(arguments: ContainerBundle.Runtime.allCases) func whatTheyDoNotNameGoesOn(
            runtime: ContainerBundle.Runtime
        ) throws {
            let (agent, bundle) = try start()
            let script = """
                id -u; cat /etc/plain; echo x > /data/new; mv /data/new /data/moved; ls -ln /data | grep -c moved
                busybox chown 7:8 /data/moved; busybox stat -c %u:%g /data/moved; chmod 600 /data/moved; cat /data/moved
                mkdir -p /tmp/a/b; cd /tmp/a; echo in > b/c; cat b/../b/c; (exit 3); echo $?; portcullis-victim socket 2 1 0
                busybox setpriv --help > /dev/null 2>&1; busybox su -s /bin/sh user -c 'id -u; cat /data/moved; echo y > /data/theirs'; rm -r /data/moved /tmp/a
                """
            func run(_ profile: [String]?) throws -> Shell.Result {
                try bundle.configure(["/bin/sh", "-c", script], profile: profile) { config in
                    var process = config["process"] as? [String: Any] ?? [:]
                    var capabilities = process["capabilities"] as? [String: [String]] ?? [:]
                    for set in ["bounding", "effective", "permitted"] {
                        capabilities[set, default: []] += [
                            "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETUID", "CAP_SETGID",
                        ]
                    }
                    process["capabilities"] = capabilities
                    config["process"] = process
                }
                return Shell.run(bundle.command(runtime))
            }
            try "root:x:0:0::/:/bin/sh\nuser:x:5:5::/:/bin/sh\n".write(
                toFile: bundle.directory + "/rootfs/etc/passwd", atomically: true, encoding: .utf8)
            let plain = try run(nil)
            #expect(plain.output.hasPrefix("0\nPLAIN\n1\n7:8\nx\nin\n3\n"), "\(plain)")
            let held = try run(["--label", "app=web"])
            #expect(held.output == plain.output && held.error == plain.error && held.status == plain.status, "\(held)")
            #expect(agent.alerts().isEmpty, "\(agent.alerts().map(\.fields))")
        }

        @Test func othersPoliciesAreNotIts() throws {
            let (agent, bundle) = try start()
            try bundle.configure(["/bin/cat", "/etc/shadow"], profile: ["--label", "app=db"])
            #expect(Shell.run(bundle.command()).output == "SECRET\n", "\(agent.log)")
            #expect(agent.alerts().isEmpty)
        }

        /// Processes of the agent that are in another user namespace.
        private func visitors(_ agent: AgentUnderTest) -> [Int32] {
            let guardian = agent.pid(of: "guardian") ?? -1
            let text = try? String(contentsOfFile: "/proc/\(guardian)/task/\(guardian)/children", encoding: .utf8)
            return (text ?? "").split(separator: " ").compactMap { Int32($0) }.filter {
                (try? String(contentsOfFile: "/proc/\($0)/comm", encoding: .utf8))?.hasPrefix("portcullis-visi") == true
            }
        }

        /// B27, and policies that change while the container lives.
        @Test func deathsOfRolesAndNewPolicies() throws {
            let (agent, bundle) = try start()
            let script = """
                n=0; while ! cat /etc/shadow 2>/dev/null && [ $n -lt 300 ] && ! [ -e /data/stop ]; do n=$((n+1)); echo $n > /data/count; sleep 0.05; done; cat /data/count
                """
            try bundle.configure(["/bin/sh", "-c", script])
            let container = Process()
            let output = Pipe()
            let command = bundle.command()
            container.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            container.arguments = command
            container.standardOutput = output
            try container.run()
            func count() -> Int { bundle.text("/data/count").flatMap { Int($0.dropLast()) } ?? 0 }
            AgentUnderTest.wait { count() > 2 }
            for _ in 0..<3 {
                let before = count()
                let visitor = try #require(visitors(agent).first)
                kill(visitor, SIGKILL)
                AgentUnderTest.wait { visitors(agent).first.map { $0 != visitor } == true }
                AgentUnderTest.wait { count() > before + 2 }
            }
            if let pid = agent.pid(of: "front") { kill(pid, SIGKILL) }
            let later = Self.policy.replacingOccurrences(of: "name: ksp", with: "name: later")
                .replacingOccurrences(of: "/etc/shadow", with: "/data/stop")
            AgentUnderTest.wait { agent.tool("apply", "-f", "-", input: later).status == 0 }
            #expect(agent.tool("status").output.contains("container web"), "\(agent.log)")
            try "".write(toFile: bundle.directory + "/rootfs/data/stop", atomically: true, encoding: .utf8)
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            container.waitUntilExit()
            #expect(!text.contains("SECRET") && Int(text.dropLast()) ?? 0 > 8, "\(text)")
        }

        @Test func theLastContainerOfANamespaceLeavesNothingBehind() throws {
            let (agent, bundle) = try start()
            try bundle.configure(["/bin/true"])
            let guardian = try #require(agent.pid(of: "guardian"))
            func descriptors() throws -> Int {
                try FileManager.default.contentsOfDirectory(atPath: "/proc/\(guardian)/fd").count
            }
            let before = try descriptors()
            for _ in 0..<3 {
                #expect(Shell.run(bundle.command()).status == 0, "\(agent.log)")
                AgentUnderTest.wait { visitors(agent).isEmpty }
            }
            try AgentUnderTest.wait { try descriptors() == before }
            #expect(try FileManager.default.contentsOfDirectory(atPath: agent.directory + "/state/containers").isEmpty)
            #expect(!agent.tool("status").output.contains("container web"))
        }

        @Test func withoutTheAgentNothingStarts() throws {
            let (agent, bundle) = try start()
            try bundle.configure(["/bin/touch", "/data/ran"])
            agent.stop()
            #expect(Shell.run(bundle.command()).status != 0)
            #expect(bundle.text("/data/ran") == nil)
        }
    }
}
