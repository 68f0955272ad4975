import Foundation
import Testing

extension KernelSuite {
    /// Containers of real runtimes, of which their runtime's hook tells: held by marks, and decided by whose objects they open.
    @Suite("Containers that hooks tell of")
    struct HookTests {
        /// What it runs on, and what its root lies on.
        struct Place: Sendable, CustomTestStringConvertible {
            var runtime: ContainerBundle.Runtime
            var root: ContainerBundle.Root
            var testDescription: String { "\(runtime) on \(root)" }

            static let all = ContainerBundle.Runtime.allCases.flatMap { runtime in
                ContainerBundle.Root.allCases.map { Place(runtime: runtime, root: $0) }
            }
        }

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
              \(sections)
              action: \(action)

            """
        }

        private static let everything = policy(
            """
            file: {matchPaths: [{path: /etc/shadow}], matchDirectories: [{dir: /secret/, recursive: true}]}
              process: {matchPaths: [{path: /bin/denied}]}
            """)

        private func start(
            _ policies: String..., root: ContainerBundle.Root = .overlay, options: [String] = []
        ) throws -> (AgentUnderTest, ContainerBundle) {
            let named = Dictionary(
                uniqueKeysWithValues: policies.enumerated().map { ("p\($0.offset).yaml", $0.element) })
            let agent = try AgentUnderTest(Scratch(), policies: named, options: options)
            return (agent, try ContainerBundle(agent, root))
        }

        private static let victim = "/usr/bin/portcullis-victim"

        private func run(
            _ bundle: ContainerBundle, _ words: [String], by runtime: ContainerBundle.Runtime = .runc,
            hook: [String]? = [], _ change: (inout [String: Any]) -> Void = { _ in }
        ) throws -> Shell.Result {
            try bundle.configure(words, profile: nil, hook: hook, change)
            return Shell.run(bundle.command(runtime))
        }

        private func expectAlert(
            _ alerts: [AgentUnderTest.Alert], _ operation: String, _ resource: String,
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            #expect(alerts.count == 1, "\(alerts.map(\.fields))", sourceLocation: sourceLocation)
            let alert = alerts.first
            let expected = [
                "PolicyName": "ksp", "Type": "MatchedPolicy", "Operation": operation, "Action": "Block",
                "Result": "Permission denied", "Enforcer": "fanotify", "ContainerName": "web", "Labels": "app=web",
                "NamespaceName": "container_namespace",
            ]
            for (key, value) in expected {
                #expect(alert?[key] == value, "\(key) \(alert?.fields ?? [:])", sourceLocation: sourceLocation)
            }
            #expect(alert?["ContainerID"]?.hasPrefix("portcullis-") == true, sourceLocation: sourceLocation)
            #expect(
                alert?["Resource"]?.hasPrefix(resource) == true, "\(alert?["Resource"] ?? "")",
                sourceLocation: sourceLocation)
        }

        // MARK: - What is held

        /// What the victim tries, as which operation it is reported, and on what.
        private static let attempts: [(words: [String], operation: String, resource: String)] = [
            (["read", "/etc/shadow"], "File", "/etc/shadow"), (["write", "/etc/shadow"], "File", "/etc/shadow"),
            (["read", "/data/hard"], "File", "/data/hard"), (["map", "/etc/shadow"], "File", "/etc/shadow"),
            (["truncate-open", "/etc/shadow"], "File", "/etc/shadow"),
            (["read", "/secret/deep/file"], "File", "/secret/deep/file"),
            (["reopen", "/etc/shadow"], "File", "/etc/shadow"), (["dirfd", "/etc", "shadow"], "File", "/etc/shadow"),
            (["read", "/proc/self/root/etc/shadow"], "File", "/etc/shadow"),
            (["exec", "/bin/denied"], "Process", "/usr/bin/denied"),
            (["fork-exec", "/usr/bin/denied"], "Process", "/usr/bin/denied"),
        ]

        @Test(arguments: Place.all) func whatItsPoliciesBlockFails(place: Place) throws {
            let (agent, bundle) = try start(Self.everything, root: place.root)
            for (index, attempt) in Self.attempts.enumerated() {
                let result = try run(bundle, [Self.victim] + attempt.words, by: place.runtime)
                #expect(result.output == "errno 1 EPERM\n", "\(attempt.words): \(result)")
                let alerts = agent.alerts(atLeast: index + 1)
                #expect(alerts.count == index + 1, "\(attempt.words)")
                expectAlert(Array(alerts.dropFirst(index)), attempt.operation, attempt.resource)
            }
            #expect(bundle.text("/etc/shadow") == "SECRET\n")
        }

        @Test(arguments: Place.all) func whatTheyDoNotNameGoesOn(place: Place) throws {
            let (agent, bundle) = try start(Self.everything, root: place.root)
            let script = """
                id -u; cat /etc/plain /proc/sys/kernel/hostname; echo x > /data/new; mv /data/new /data/moved; ls /data
                grep Name /proc/self/status; mkdir -p /tmp/a/b; echo in > /tmp/a/b/c; cat /tmp/a/b/c; (exit 3); echo $?
                portcullis-victim socket 2 1 0; ln -s /etc/plain /tmp/l; cat /tmp/l; rm -r /tmp/l /tmp/a
                """
            let plain = try run(bundle, ["/bin/sh", "-c", script], by: place.runtime, hook: nil)
            #expect(plain.status == 0 && plain.output.contains("moved"), "\(plain)")
            let held = try run(bundle, ["/bin/sh", "-c", script], by: place.runtime)
            #expect(held.output == plain.output && held.error == plain.error && held.status == plain.status, "\(held)")
            #expect(agent.alerts().isEmpty, "\(agent.alerts().map(\.fields))")
            // Nor are the host's own doings the container's.
            #expect(Shell.run("cat", bundle.directory + "/rootfs/etc/shadow").output == "SECRET\n")
        }

        @Test(arguments: ContainerBundle.Root.allCases) func anAllowListRunsNothingElse(
            root: ContainerBundle.Root
        ) throws {
            let (agent, bundle) = try start(
                Self.policy(
                    """
                    process: {matchPaths: [{path: /bin/sh}, {path: /bin/cat}, {path: \(Self.victim)}]}
                    """, action: "Allow"), root: root, options: ["--file-posture", "block"])
            let result = try run(
                bundle, ["/bin/sh", "-c", "cat /etc/plain; /bin/denied echo ran; /bin/sh -c 'echo on'"])
            #expect(result.output == "PLAIN\non\n", "\(result)")
            #expect(result.error.contains("/bin/denied: Operation not permitted"), "\(result)")
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.map { $0["PolicyName"] } == ["DefaultPosture"], "\(alerts.map(\.fields))")
            #expect(alerts.first?["ContainerName"] == "web")
        }

        @Test func anAuditIsToldAndLetGoOn() throws {
            let (agent, bundle) = try start(
                Self.policy("file: {matchPatterns: [{pattern: \"/etc/sh*\"}]}", action: "Audit"))
            #expect(try run(bundle, [Self.victim, "read", "/etc/shadow"]).output == "ok SECRET\n")
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.map { $0["Action"] } == ["Audit"] && alerts.first?["Resource"] == "/etc/shadow")
        }

        @Test func othersPoliciesAreNotIts() throws {
            let (agent, bundle) = try start(
                Self.policy(
                    "file: {matchPaths: [{path: /etc/plain}]}", name: "other", selector: "{matchLabels: {app: db}}"),
                AgentUnderTest.policy(file: "matchPaths: [{path: /etc/plain}]"))
            #expect(try run(bundle, ["/bin/cat", "/etc/plain"]).output == "PLAIN\n")
            let other = try run(bundle, ["/bin/cat", "/etc/plain"]) { config in
                config["annotations"] = ["io.portcullis.label.app": "db"]
            }
            #expect(other.status != 0)
            #expect(agent.alerts(atLeast: 1).map { $0["PolicyName"] } == ["other"])
        }

        // MARK: - Whose event it is

        private static func mayMount(_ config: inout [String: Any]) {
            var process = config["process"] as? [String: Any] ?? [:]
            var capabilities = process["capabilities"] as? [String: [String]] ?? [:]
            for set in ["bounding", "effective", "permitted"] {
                capabilities[set, default: []] += ["CAP_SYS_ADMIN", "CAP_SYS_CHROOT"]
            }
            process["capabilities"] = capabilities
            config["process"] = process
        }

        /// B04: mounts, and mount and process namespaces, that a container makes for itself.
        private static let ways: [(way: String, script: String)] = [
            ("bind", "mount --bind /secret /mnt && cat /mnt/deep/file"),
            ("own mounts", "unshare -m cat /secret/deep/file"),
            ("bind in own mounts", "unshare -m sh -c 'mount --bind /secret /mnt && cat /mnt/deep/file'"),
            ("own processes", "unshare -m -p -f sh -c 'mount --bind /secret/deep /mnt && cat /mnt/file'"),
            ("another root", "mount --bind / /mnt && chroot /mnt /bin/cat /secret/deep/file"),
            ("execution", "unshare -m sh -c 'mount --bind /usr/bin /mnt && /mnt/denied echo ran'"),
        ]

        @Test(arguments: ways.map(\.way)) func b04MountsOfItsOwnAreNoWayAround(way: String) throws {
            let script = try #require(Self.ways.first { $0.way == way }).script
            let (agent, bundle) = try start(Self.everything)
            let result = try run(
                bundle,
                [
                    "/bin/busybox", "sh", "-c",
                    "for a in mount unshare chroot; do ln -s /bin/busybox /tmp/$a; done; PATH=/tmp:$PATH; mkdir -p /mnt; \(script)",
                ],
                Self.mayMount)
            #expect(result.error.contains("Operation not permitted") && result.output.isEmpty, "\(result)")
            expectAlert(
                agent.alerts(atLeast: 1), way == "execution" ? "Process" : "File", way == "execution" ? "/" : "/")
            // Without the hook it is one.
            let control = try run(
                bundle, ["/bin/busybox", "sh", "-c", "PATH=/tmp:$PATH; \(script)"], hook: nil, Self.mayMount)
            #expect(control.output == "SECRET\n" || control.error.contains("applet not found"), "\(control)")
        }

        @Test func aFilesystemThatItMountsIsHeldToo() throws {
            let (agent, bundle) = try start(Self.everything)
            let result = try run(
                bundle,
                [
                    "/bin/busybox", "sh", "-c",
                    """
                    busybox mount -t tmpfs t /secret; n=0
                    while busybox touch /secret/file && busybox cat /secret/file && [ $n -lt 600 ]; do n=$((n+1)); sleep 0.1; done
                    busybox cat /secret/file
                    """,
                ], Self.mayMount)
            #expect(result.error.contains("Operation not permitted") && result.output.isEmpty, "\(result)")
            #expect(agent.alerts(atLeast: 2).allSatisfy { $0["ContainerName"] == "web" && $0["PolicyName"] == "ksp" })
        }

        @Test(arguments: ContainerBundle.Root.allCases) func aVolumeIsHeldForItAndForNobodyElse(
            root: ContainerBundle.Root
        ) throws {
            let (agent, bundle) = try start(
                Self.policy("file: {matchPaths: [{path: /volume/file}], matchDirectories: [{dir: /volume/dir/}]}"),
                root: root)
            let volume = bundle.directory + "/volume"
            try FileManager.default.createDirectory(atPath: volume + "/dir", withIntermediateDirectories: true)
            for name in ["file", "dir/in", "other"] {
                try "SECRET\n".write(toFile: "\(volume)/\(name)", atomically: true, encoding: .utf8)
            }
            func with(_ config: inout [String: Any]) {
                let mount: [String: Any] = [
                    "destination": "/volume", "source": volume, "type": "bind", "options": ["bind"],
                ]
                config["mounts"] = (config["mounts"] as? [Any] ?? []) + [mount]
            }
            let script = "cat /volume/other; cat /volume/file; cat /volume/dir/in; echo no"
            let result = try run(bundle, ["/bin/sh", "-c", script], with)
            #expect(result.output == "SECRET\nno\n", "\(result)")
            #expect(agent.alerts(atLeast: 2).map { $0["Resource"] } == ["/volume/file", "/volume/dir/in"])
            // While it lives the host, and a container that the policy is not for, read it.
            let command = try self.background(bundle, ["/bin/sleep", "20"], with)
            #expect(Shell.run("cat", volume + "/file", volume + "/dir/in").output == "SECRET\nSECRET\n")
            let other = try run(bundle, ["/bin/cat", "/volume/file"]) { config in
                with(&config)
                config["annotations"] = ["io.portcullis.label.app": "db"]
            }
            #expect(other.output == "SECRET\n", "\(other)")
            command.end()
            #expect(agent.alerts().count == 2)
            #expect(marks(agent) == 0)
        }

        // MARK: - A container that lives

        /// A container that runs beside the test.
        private final class Background {
            let name: String
            private let process = Process()

            init(_ command: [String]) throws {
                name = command.last ?? ""
                process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
                process.arguments = command
                try process.run()
                AgentUnderTest.wait { Shell.run("runc", "exec", name, "/bin/true").status == 0 }
            }

            func exec(_ words: String...) -> Shell.Result { Shell.run(["runc", "exec", name] + words) }

            func end() {
                guard process.isRunning else { return }
                _ = Shell.run("runc", "kill", name, "KILL")
                process.waitUntilExit()
            }

            deinit { end() }
        }

        private func background(
            _ bundle: ContainerBundle, _ words: [String], _ change: (inout [String: Any]) -> Void = { _ in }
        ) throws -> Background {
            try bundle.configure(words, profile: nil, hook: [], change)
            return try Background(bundle.command())
        }

        @Test func furtherProcessesNewPoliciesAndDeathsOfRoles() throws {
            let (agent, bundle) = try start(Self.everything)
            let container = try background(bundle, ["/bin/sleep", "60"])
            func isDenied(_ path: String) -> Bool {
                container.exec("/bin/cat", path).error.contains("Operation not permitted")
            }
            #expect(container.exec("/bin/cat", "/etc/plain").output == "PLAIN\n")
            #expect(isDenied("/etc/shadow"))
            // What holds for it may change while it lives.
            let later = Self.policy("file: {matchPaths: [{path: /etc/plain}]}", name: "later")
            #expect(agent.tool("apply", "-f", "-", input: later).status == 0)
            #expect(isDenied("/etc/plain"))
            for _ in 0..<2 {
                if let pid = agent.pid(of: "worker") { kill(pid, SIGKILL) }
                Thread.sleep(forTimeInterval: 0.3)
                #expect(isDenied("/etc/plain") && isDenied("/etc/shadow"))
            }
            // What a front has taken and not yet written goes with it.
            #expect(agent.alerts(atLeast: 6).count == 6)
            if let pid = agent.pid(of: "front") { kill(pid, SIGKILL) }
            AgentUnderTest.wait { agent.tool("delete", "ksp", "later", "--namespace", "default").status == 0 }
            #expect(container.exec("/bin/cat", "/etc/plain").output == "PLAIN\n")
            #expect(isDenied("/etc/shadow"))
            container.end()
            let alerts = agent.alerts(atLeast: 7)
            #expect(alerts.count == 7, "\(alerts.map(\.fields))")
            #expect(alerts.allSatisfy { $0["ContainerName"] == "web" && $0["Action"] == "Block" })
        }

        @Test func aNameThatComesLaterIsHeld() throws {
            let (agent, bundle) = try start(
                Self.policy(
                    "file: {matchPaths: [{path: /data/a/b/late}], matchDirectories: [{dir: /data/tree/, recursive: true}]}"
                ))
            let script = """
                mkdir -p /data/a/b; touch /data/a/b/late; mkdir -p /data/tree/x; cat /etc/plain > /data/tree/x/y; n=0
                while { cat /data/a/b/late || cat /data/tree/x/y; } > /dev/null && [ $n -lt 600 ]; do n=$((n+1)); sleep 0.1; done
                cat /data/a/b/late /data/tree/x/y
                """
            let result = try run(bundle, ["/bin/sh", "-c", script])
            #expect(result.output.isEmpty, "\(result)")
            #expect(agent.alerts(atLeast: 4).allSatisfy { $0["PolicyName"] == "ksp" })
        }

        /// What the kernel says of the marks of the worker's groups.
        private func marks(_ agent: AgentUnderTest) -> Int {
            guard let pid = agent.pid(of: "worker"),
                let names = try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fdinfo")
            else { return -1 }
            let texts = names.compactMap { try? String(contentsOfFile: "/proc/\(pid)/fdinfo/\($0)", encoding: .utf8) }
            return texts.flatMap { $0.split(separator: "\n") }.count {
                $0.hasPrefix("fanotify ino:") || $0.hasPrefix("fanotify mnt_id:") || $0.hasPrefix("fanotify sdev:")
            }
        }

        /// What the worker has open.
        private func descriptors(_ agent: AgentUnderTest) throws -> [String] {
            let pid = try #require(agent.pid(of: "worker"))
            return try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\($0)")
            }.sorted()
        }

        @Test(arguments: ContainerBundle.Root.allCases) func anEndedContainerLeavesNothingBehind(
            root: ContainerBundle.Root
        ) throws {
            let (agent, bundle) = try start(Self.everything, root: root)
            let (before, open) = (marks(agent), try descriptors(agent))
            let container = try background(bundle, ["/bin/sleep", "60"])
            #expect(marks(agent) > before)
            #expect(agent.tool("status").output.contains("container web"))
            container.end()
            AgentUnderTest.wait { !agent.tool("status").output.contains("container web") }
            #expect(marks(agent) == before)
            #expect(try FileManager.default.contentsOfDirectory(atPath: agent.directory + "/state/containers").isEmpty)
            // What the worker looked at when it started may have been open for a moment.
            try AgentUnderTest.wait { try descriptors(agent).difference(from: open).insertions.isEmpty }
            if root == .overlay { #expect(Shell.run("umount", bundle.directory + "/rootfs").status == 0) }
        }

        // MARK: - Start

        /// B30: its first instruction is under its rules.
        @Test(arguments: ContainerBundle.Runtime.allCases) func b30NoStartComesBeforeTheRules(
            runtime: ContainerBundle.Runtime
        ) throws {
            let (agent, bundle) = try start(Self.everything)
            try bundle.configure([Self.victim, "read", "/etc/shadow"], profile: nil, hook: [])
            for _ in 0..<20 { #expect(Shell.run(bundle.command(runtime)).output == "errno 1 EPERM\n") }
            try bundle.configure(["/bin/denied", "echo", "ran"], profile: nil, hook: [])
            for _ in 0..<10 {
                let result = Shell.run(bundle.command(runtime))
                #expect(result.status != 0 && !result.output.contains("ran"), "\(result)")
            }
            #expect(agent.alerts(atLeast: 30).count == 30)
            // Without the gate it is over before anybody looks.
            try bundle.configure([Self.victim, "read", "/etc/shadow"], profile: nil, hook: nil)
            #expect(Shell.run(bundle.command(runtime)).output == "ok SECRET\n")
        }

        @Test func withoutTheAgentNothingStarts() throws {
            let (agent, bundle) = try start(Self.everything)
            agent.stop()
            let denied = try run(bundle, ["/bin/touch", "/data/ran"])
            #expect(denied.status != 0 && denied.error.contains("runtime.sock"), "\(denied)")
            #expect(bundle.text("/data/ran") == nil)
            // Who asked for that gets it.
            let allowed = try run(bundle, ["/bin/touch", "/data/ran"], hook: ["--on-timeout", "allow"])
            #expect(allowed.status == 0 && bundle.text("/data/ran") == "", "\(allowed)")
        }

        @Test func anAgentThatDoesNotAnswerIsWaitedForAsLongAsAskedFor() throws {
            let (agent, bundle) = try start(Self.everything)
            let pid = try #require(agent.pid(of: "front"))
            kill(pid, SIGSTOP)
            defer { kill(pid, SIGCONT) }
            let begun = Date()
            let denied = try run(bundle, ["/bin/touch", "/data/ran"], hook: ["--timeout", "2"])
            #expect(
                denied.status != 0 && denied.error.contains("does not answer; the container does not start"),
                "\(denied)")
            #expect(Date().timeIntervalSince(begun) > 1.5)
            #expect(bundle.text("/data/ran") == nil)
            let allowed = try run(
                bundle, ["/bin/touch", "/data/ran"], hook: ["--timeout", "1", "--on-timeout", "allow"])
            #expect(allowed.status == 0 && bundle.text("/data/ran") == "", "\(allowed)")
        }

        @Test func aFrontThatDiesMeanwhileIsNoObstacle() throws {
            let (agent, bundle) = try start(Self.everything)
            let pid = try #require(agent.pid(of: "front"))
            kill(pid, SIGSTOP)
            DispatchQueue.global().asyncAfter(deadline: .now() + 0.7) { kill(pid, SIGKILL) }
            let result = try run(bundle, [Self.victim, "read", "/etc/shadow"])
            #expect(result.output == "errno 1 EPERM\n", "\(result)")
            expectAlert(agent.alerts(atLeast: 1), "File", "/etc/shadow")
        }

        @Test func aContainerWithTheHostsMountsIsRefused() throws {
            let (_, bundle) = try start(Self.everything)
            let result = try run(bundle, ["/bin/true"]) { config in
                var linux = config["linux"] as? [String: Any] ?? [:]
                linux["namespaces"] = [["type": "pid"], ["type": "mount", "path": "/proc/self/ns/mnt"]]
                linux["maskedPaths"] = nil
                linux["readonlyPaths"] = nil
                config["linux"] = linux
                config["mounts"] = []
                config["hostname"] = nil
            }
            #expect(result.status != 0, "\(result)")
        }

        // MARK: - Both

        @Test func aListenerAndAHookAreOneContainer() throws {
            let (agent, bundle) = try start(Self.everything)
            try bundle.configure(
                ["/bin/sh", "-c", "cat /etc/shadow; /bin/denied; portcullis-victim rename /etc/shadow /data/x"],
                profile: ["--image", "busybox"], hook: [])
            let result = Shell.run(bundle.command())
            #expect(result.error.contains("Permission denied") && result.output == "errno 13 EACCES\n", "\(result)")
            let alerts = agent.alerts(atLeast: 3)
            #expect(alerts.count == 3, "\(alerts.map(\.fields))")
            #expect(
                alerts.allSatisfy {
                    $0["Enforcer"] == "seccomp" && $0["ContainerName"] == "web" && $0["ContainerImage"] == "busybox"
                        && $0["Labels"] == "app=web"
                })
        }
    }
}
