import Foundation
import Testing

extension KernelSuite {
    /// Containers of real runtimes, handed over by the listener of their seccomp profile.
    @Suite("Containers")
    struct ContainerTests {
        private static func policy(
            _ sections: String, name: String = "ksp", selector: String = "{matchLabels: {app: web}}",
            action: String = "Block"
        ) -> String {
            """
            apiVersion: security.kubearmor.com/v1
            kind: KubeArmorPolicy
            metadata: {name: \(name), namespace: default}
            spec:
              selector: \(selector)
              severity: 7
              message: "of the container"
              \(sections)
              action: \(action)

            """
        }

        private static let everything = policy(
            """
            file: {matchPaths: [{path: /etc/shadow}], matchDirectories: [{dir: /secret/, recursive: true}]}
              process: {matchPaths: [{path: /bin/denied}]}
              network: {matchProtocols: [{protocol: udp}]}
            """)

        private func start(
            _ policies: String..., options: [String] = []
        ) throws -> (AgentUnderTest, ContainerBundle) {
            let scratch = try Scratch()
            let named = Dictionary(
                uniqueKeysWithValues: policies.enumerated().map { ("p\($0.offset).yaml", $0.element) })
            let agent = try AgentUnderTest(scratch, policies: named, options: options)
            return (agent, try ContainerBundle(agent))
        }

        private func expectAlert(
            _ agent: AgentUnderTest, _ operation: String, _ resource: String, number: Int,
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let alerts = agent.alerts(atLeast: number)
            #expect(alerts.count == number, "\(alerts.map(\.fields))", sourceLocation: sourceLocation)
            let alert = alerts.last
            #expect(alert?["PolicyName"] == "ksp", sourceLocation: sourceLocation)
            #expect(alert?["Type"] == "MatchedPolicy", sourceLocation: sourceLocation)
            #expect(alert?["Operation"] == operation, sourceLocation: sourceLocation)
            #expect(
                alert?["Resource"]?.hasPrefix(resource) == true, "\(alert?["Resource"] ?? "")",
                sourceLocation: sourceLocation)
            #expect(alert?["Action"] == "Block", sourceLocation: sourceLocation)
            #expect(alert?["Result"] == "Permission denied", sourceLocation: sourceLocation)
            #expect(alert?["Enforcer"] == "seccomp", sourceLocation: sourceLocation)
            #expect(alert?["ContainerName"] == "web", sourceLocation: sourceLocation)
            #expect(alert?["ContainerID"]?.hasPrefix("portcullis-") == true, sourceLocation: sourceLocation)
            #expect(alert?["NamespaceName"] == "container_namespace", sourceLocation: sourceLocation)
            #expect(alert?["Labels"] == "app=web", sourceLocation: sourceLocation)
            #expect(alert?["ProcessName"] == "/usr/bin/portcullis-victim", sourceLocation: sourceLocation)
        }

        /// What the victim tries, as which operation it is reported, and on what.
        private static let attempts: [(words: [String], operation: String, resource: String)] = [
            (["read", "/etc/shadow"], "File", "/etc/shadow"), (["write", "/etc/shadow"], "File", "/etc/shadow"),
            (["read", "/data/hard"], "File", "/data/hard"),
            (["read", "/secret/deep/file"], "File", "/secret/deep/file"),
            (["reopen", "/etc/shadow"], "File", "/etc/shadow"), (["dirfd", "/etc", "shadow"], "File", "/etc/shadow"),
            (["read", "/proc/self/root/etc/shadow"], "File", "/etc/shadow"),
            (["rename", "/etc/shadow", "/data/s"], "File", "/etc/shadow"), (["rename", "/etc", "/e"], "File", "/etc"),
            (["link", "/etc/shadow", "/data/s"], "File", "/etc/shadow"),
            (["unlink", "/etc/shadow"], "File", "/etc/shadow"),
            (["truncate", "/etc/shadow"], "File", "/etc/shadow"), (["chmod", "/etc/shadow"], "File", "/etc/shadow"),
            (["creat", "/secret/new"], "File", "/secret/new"),
            (["mkdir", "/secret/deep/new"], "File", "/secret/deep/new"),
            (["unix-bind", "/secret/socket"], "File", "/secret/socket"),
            (["exec", "/bin/denied"], "Process", "/usr/bin/denied"),
            (["exec", "/usr/bin/denied"], "Process", "/usr/bin/denied"),
            (["socket", "2", "2", "0"], "Network", "protocol=UDP"),
        ]

        @Test(arguments: ContainerBundle.Runtime.allCases) func whatItsPoliciesBlockFails(
            runtime: ContainerBundle.Runtime
        ) throws {
            let (agent, bundle) = try start(Self.everything)
            for (index, attempt) in Self.attempts.enumerated() {
                try bundle.configure(["/usr/bin/portcullis-victim"] + attempt.words)
                let result = Shell.run(bundle.command(runtime))
                #expect(result.output == "errno 13 EACCES\n", "\(attempt.words): \(result)")
                if attempt.operation == "Process" {
                    // The program that would have been executed is what the alert is about.
                    #expect(agent.alerts(atLeast: index + 1).count == index + 1)
                    #expect(agent.alerts().last?["Resource"]?.hasPrefix(attempt.resource) == true)
                } else {
                    expectAlert(agent, attempt.operation, attempt.resource, number: index + 1)
                }
            }
            #expect(bundle.text("/etc/shadow") == "SECRET\n")
            #expect(try FileManager.default.contentsOfDirectory(atPath: bundle.directory + "/rootfs/data") == ["hard"])
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: bundle.directory + "/rootfs/secret") == ["deep"])
        }

        @Test(arguments: ContainerBundle.Runtime.allCases) func whatTheyDoNotNameGoesOn(
            runtime: ContainerBundle.Runtime
        ) throws {
            let (agent, bundle) = try start(Self.everything)
            let script = """
                id -u; cat /etc/plain /proc/sys/kernel/hostname; echo x > /data/new; mv /data/new /data/moved; ls /data
                grep -c . /proc/self/maps > /dev/null && grep Name /proc/self/status; echo < /dev/null; cat /proc/sys/net/ipv4/ip_forward
                mkdir -p /tmp/a/b; cd /tmp/a; echo in > b/c; cat b/../b/c /proc/self/cwd/b/c; (exit 3); echo $?
                portcullis-victim socket 2 1 0; ln -s /etc/plain l; cat l; rm l
                """
            let plain = try bundle.run("/bin/sh", "-c", script, profile: nil, by: runtime)
            #expect(plain.status == 0 && plain.output.contains("moved"), "\(plain)")
            _ = Shell.run("rm", "-rf", bundle.directory + "/rootfs/data/moved", bundle.directory + "/rootfs/tmp/a")
            let supervised = try bundle.run("/bin/sh", "-c", script, by: runtime)
            #expect(supervised.output == plain.output)
            #expect(supervised.error == plain.error)
            #expect(supervised.status == plain.status)
            #expect(agent.alerts().isEmpty, "\(agent.alerts().map(\.fields))")
        }

        @Test func othersPoliciesAreNotIts() throws {
            let (agent, bundle) = try start(
                Self.policy(
                    "file: {matchPaths: [{path: /etc/plain}]}", name: "other", selector: "{matchLabels: {app: db}}"),
                AgentUnderTest.policy(file: "matchPaths: [{path: /etc/plain}]"))
            #expect(try bundle.run("/bin/cat", "/etc/plain").output == "PLAIN\n")
            #expect(try bundle.run("/bin/cat", "/etc/plain", profile: ["--label", "app=db"]).status != 0)
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.map { $0["PolicyName"] } == ["other"])
        }

        @Test(arguments: [("web", true), ("we", true), ("^db$", false), ("\"[api, web]\"", true), ("\"[api]\"", false)])
        func aContainersNameSelects(pattern: String, isSelected: Bool) throws {
            let (agent, bundle) = try start(
                Self.policy(
                    "file: {matchPaths: [{path: /etc/plain}]}",
                    selector: "{matchLabels: {kubearmor.io/container.name: \(pattern)}}"))
            #expect(try bundle.run("/bin/cat", "/etc/plain").output == (isSelected ? "" : "PLAIN\n"))
            #expect(agent.alerts(atLeast: isSelected ? 1 : 0).count == (isSelected ? 1 : 0))
        }

        @Test func anAllowListRunsNothingElse() throws {
            let (agent, bundle) = try start(
                Self.policy(
                    "process: {matchPaths: [{path: /bin/sh}, {path: /bin/cat}, {path: /bin/portcullis-victim}]}",
                    action: "Allow"), options: ["--file-posture", "block"])
            // One object with many names: which name counts.
            let result = try bundle.run(
                "/bin/sh", "-c", "cat /etc/plain; /bin/denied echo ran; portcullis-victim memfd-exec /bin/denied")
            #expect(result.output.hasPrefix("PLAIN\n"), "\(result)")
            #expect(result.error.contains("/bin/denied: Permission denied"), "\(result)")
            #expect(!result.output.contains("ran"))
            let alerts = agent.alerts(atLeast: 2)
            #expect(alerts.count == 2)
            #expect(
                alerts.allSatisfy { $0["PolicyName"] == "DefaultPosture" && $0["ContainerName"] == "web" },
                "\(alerts.map(\.fields))")
        }

        @Test func furtherProcessesAndNewPoliciesCount() throws {
            let (agent, bundle) = try start(Self.everything)
            try bundle.configure(["/bin/sleep", "30"])
            let command = bundle.command()
            let container = Process()
            container.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            container.arguments = command
            try container.run()
            defer {
                _ = Shell.run("runc", "kill", command.last ?? "", "KILL")
                container.waitUntilExit()
            }
            func exec(_ words: String...) -> Shell.Result { Shell.run(["runc", "exec", command.last ?? ""] + words) }
            AgentUnderTest.wait { exec("/bin/true").status == 0 }
            #expect(exec("/bin/cat", "/etc/plain").output == "PLAIN\n")
            #expect(exec("/bin/cat", "/etc/shadow").error.contains("Permission denied"))
            // What holds for it may change while it lives.
            let later = Self.policy("file: {matchPaths: [{path: /etc/plain}]}", name: "later")
            #expect(agent.tool("apply", "-f", "-", input: later).status == 0)
            #expect(exec("/bin/cat", "/etc/plain").error.contains("Permission denied"))
            if let pid = agent.pid(of: "worker") { kill(pid, SIGKILL) }
            Thread.sleep(forTimeInterval: 0.3)
            #expect(exec("/bin/cat", "/etc/plain").error.contains("Permission denied"))
            // What a front has taken and not yet written goes with it.
            #expect(agent.alerts(atLeast: 3).count == 3)
            if let pid = agent.pid(of: "front") { kill(pid, SIGKILL) }
            AgentUnderTest.wait { agent.tool("delete", "ksp", "later", "--namespace", "default").status == 0 }
            #expect(exec("/bin/cat", "/etc/plain").output == "PLAIN\n")
            #expect(exec("/bin/cat", "/etc/shadow").error.contains("Permission denied"))
            let alerts = agent.alerts(atLeast: 4)
            #expect(alerts.count == 4, "\(alerts.map(\.fields))")
            #expect(alerts.allSatisfy { $0["ContainerName"] == "web" })
        }

        /// What each preset holds: what is tried, and operation, beginning of the resource, data and enforcer of the alert.
        private static let presets:
            [(
                name: String, words: [String],
                alert: (operation: String, resource: String, data: String, enforcer: String)
            )] = [
                (
                    "filelessExec", ["portcullis-victim", "memfd-exec", "/bin/true"],
                    ("Process", "/memfd:x", "lsm=SECURITY_BPRM_CHECK", "PRESET-FilelessExecutionPreset")
                ),
                (
                    "anonymousMapExec", ["portcullis-victim", "map-exec"],
                    ("File", "", "PROT_READ,PROT_EXEC,MAP_PRIVATE,MAP_ANONYMOUS", "PRESET-AnonMapExecutionPreset")
                ),
                (
                    "protectEnv", ["sh", "-c", "portcullis-victim read /proc/1/environ & wait $!"],
                    ("File", "/proc/1/environ", "lsm=FILE_OPEN", "PRESET-ProtectEnvPreset")
                ),
                (
                    "protectProc", ["sh", "-c", "portcullis-victim read /proc/1/status & wait $!"],
                    ("File", "/proc/1/status", "lsm=FILE_OPEN", "PRESET-ProtectProcPreset")
                ),
            ]

        @Test(arguments: presets.indices, ["Block", "Audit"]) func aPresetHolds(index: Int, action: String) throws {
            let preset = Self.presets[index]
            let (agent, bundle) = try start(
                Self.policy("presets: [{name: \(preset.name), action: \(action)}]", action: "Audit"))
            try bundle.configure(
                ["/bin/sh", "-c", "sh -c 'cat /proc/self/environ > /dev/null'; \"$@\"", "sh"] + preset.words)
            let result = Shell.run(bundle.command())
            #expect((result.output == "errno 13 EACCES\n") == (action == "Block"), "\(result)")
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.count == 1, "\(alerts.map(\.fields))")
            #expect(alerts.first?["PolicyName"] == "ksp")
            #expect(alerts.first?["Operation"] == preset.alert.operation)
            #expect(alerts.first?["Resource"]?.hasPrefix(preset.alert.resource) ?? preset.alert.resource.isEmpty)
            #expect(action == "Audit" || alerts.first?["Data"] == preset.alert.data, "\(alerts.map(\.fields))")
            #expect(alerts.first?["Enforcer"] == preset.alert.enforcer)
            #expect(alerts.first?["Action"] == action)
        }

        @Test func thePresetExecKeepsShellsOut() throws {
            let (agent, bundle) = try start(Self.policy("presets: [{name: exec, action: Block}]", action: "Audit"))
            try bundle.configure(["/bin/sh", "-c", "sh -c 'sleep 30'"])
            let command = bundle.command()
            let container = Process()
            container.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            container.arguments = command
            try container.run()
            defer {
                _ = Shell.run("runc", "kill", command.last ?? "", "KILL")
                container.waitUntilExit()
            }
            let name = command.last ?? ""
            AgentUnderTest.wait { Shell.run("runc", "exec", name, "/bin/true").status == 0 }
            #expect(agent.alerts().isEmpty)
            let shell = Shell.run("script", "-qec", "runc exec --tty \(name) /bin/touch /data/entered", "/dev/null")
            #expect(shell.status != 0, "\(shell)")
            #expect(bundle.text("/data/entered") == nil)
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.map { $0["Enforcer"] } == ["PRESET-ExecPreset"])
            #expect(Shell.run("runc", "exec", name, "/bin/touch", "/data/entered").status == 0)
        }

        /// B30: its first instruction is under its rules.
        @Test func b30NoStartComesBeforeTheRules() throws {
            let (agent, bundle) = try start(Self.everything)
            try bundle.configure(["/usr/bin/portcullis-victim", "read", "/etc/shadow"])
            for _ in 0..<20 { #expect(Shell.run(bundle.command()).output == "errno 13 EACCES\n") }
            #expect(agent.alerts(atLeast: 20).count == 20)
        }

        /// The runtime's filter lets a signal interrupt a call that is being performed: it comes again, and must not be done twice.
        /// (The kernel can throw an answer away that it has taken; only the flag, which this runc does not know, keeps it from that.)
        @Test(arguments: ContainerBundle.Runtime.allCases) func anInterruptedCallIsDoneOnce(
            runtime: ContainerBundle.Runtime
        ) throws {
            let (_, bundle) = try start(Self.everything)
            let flag = runtime == .crun ? ["--wait-killable"] : []
            let result = try bundle.run(
                "/bin/portcullis-victim", "interrupted", "/data", "2000", profile: ["--label", "app=web"] + flag,
                by: runtime)
            let errors = try #require(Int(result.output.dropFirst("errors ".count).dropLast()), "\(result)")
            // Without memory for what was done it is a third of 6000.
            #expect(runtime == .crun ? errors == 0 : errors < 120, "\(errors)")
        }

        @Test func withoutTheAgentNothingStarts() throws {
            let (agent, bundle) = try start(Self.everything)
            try bundle.configure(["/bin/touch", "/data/ran"])
            agent.stop()
            #expect(Shell.run(bundle.command()).status != 0)
            #expect(bundle.text("/data/ran") == nil)
        }

        @Test func b27NoForbiddenOpenSucceedsWhileTheWorkerIsKilled() throws {
            let (agent, bundle) = try start(Self.everything)
            try bundle.configure(["/usr/bin/portcullis-victim", "hammer", "/etc/shadow", "3000"])
            let container = Process()
            let output = Pipe()
            container.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            container.arguments = bundle.command()
            container.standardOutput = output
            try container.run()
            Thread.sleep(forTimeInterval: 0.3)
            var kills = 0
            // Bounded: where a worker takes longer to start than it lives, nothing would ever be answered.
            while container.isRunning, kills < 20 {
                Thread.sleep(forTimeInterval: 0.2)
                if let pid = agent.pid(of: "worker"), kill(pid, SIGKILL) == 0 { kills += 1 }
            }
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            container.waitUntilExit()
            #expect(text == "succeeded 0 refused 3000\n", "\(kills) kills")
            #expect(kills > 0)
        }

        @Test func anEndedContainerLeavesNothingBehind() throws {
            let (agent, bundle) = try start(Self.everything)
            #expect(try bundle.run("/bin/true").status == 0)
            AgentUnderTest.wait { !agent.tool("status").output.contains("container web") }
            #expect(try FileManager.default.contentsOfDirectory(atPath: agent.directory + "/state/containers").isEmpty)
            let pid = try #require(agent.pid(of: "worker"))
            let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\($0)")
            }
            #expect(!open.contains { $0.contains("seccomp") || $0.contains("rootfs") }, "\(open)")
        }
    }
}
