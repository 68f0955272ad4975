import Foundation
import Testing

extension KernelSuite {
    /// The bypasses that an agent and a tree without privileges are asked about besides `RootlessTests`: the same attacks as with fanotify.
    @Suite("Rootless bypasses")
    struct RootlessBypassTests {
        private static let victim = AgentUnderTest.binaries + "/portcullis-victim"
        private static let files = AgentUnderTest.policy(file: AgentUnderTest.protectedTree)
        private static let program = AgentUnderTest.policy(process: "matchPaths: [{path: \"@/bin/denied\"}]")
        private static let everyProtocol =
            "matchProtocols: [{protocol: tcp}, {protocol: udp}, {protocol: raw}, {protocol: icmp}, {protocol: icmpv6}]"

        private func start(
            _ policy: String, filesystem: Filesystem = .tmpfs, options: [String] = []
        ) throws -> (Scratch, AgentUnderTest) {
            let scratch = try Scratch(filesystem, ownedBy: Scratch.user)
            return (
                scratch, try AgentUnderTest(scratch, policies: ["p.yaml": policy], options: ["--rootless"] + options)
            )
        }

        private func victim(_ agent: AgentUnderTest, _ words: String...) -> Shell.Result {
            agent.tool(["run", "--", Self.victim] + words)
        }

        /// Expects one more alert than before.
        private func expectAlert(
            _ agent: AgentUnderTest, _ operation: String, _ resource: String, policy: String = "p", number: Int = 1,
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let alerts = agent.alerts(atLeast: number)
            #expect(alerts.count == number, "\(alerts.map(\.fields))", sourceLocation: sourceLocation)
            #expect(alerts.last?["PolicyName"] == policy, sourceLocation: sourceLocation)
            #expect(alerts.last?["Operation"] == operation, sourceLocation: sourceLocation)
            #expect(
                alerts.last?["Resource"]?.hasPrefix(resource) == true, "\(alerts.last?["Resource"] ?? "")",
                sourceLocation: sourceLocation)
            #expect(alerts.last?["Action"] == "Block", sourceLocation: sourceLocation)
            #expect(alerts.last?["Result"] == "Permission denied", sourceLocation: sourceLocation)
            #expect(alerts.last?["Enforcer"] == "seccomp", sourceLocation: sourceLocation)
        }

        // MARK: - Names

        /// A user namespace of the attacker's own, a mount in it, and only then the tree.
        @Test func b04AnAliasMountedBeforeTheTree() throws {
            let (scratch, agent) = try start(Self.files)
            try FileManager.default.createDirectory(
                atPath: scratch.path("work/alias"), withIntermediateDirectories: true)
            let alias = scratch.path("work/alias")
            let mount = "mount --bind \(scratch.path("prot")) \(alias) && "
            let read = "\(Self.victim) read \(alias)/secret"
            // The control: without a tree the alias shows the secret.
            #expect(agent.run(["unshare", "-Urm", "sh", "-c", mount + read]).output == "ok SECRET\n")
            let tool = "\(AgentUnderTest.binaries)/portcullis run --socket \(agent.socket) -- "
            let result = agent.run(["unshare", "-Urm", "sh", "-c", mount + tool + read])
            #expect(!result.output.contains("SECRET"), "\(result)")
            #expect(scratch.text("prot/secret") == "SECRET\n")
        }

        @Test func b04NoMountInATree() throws {
            let (_, agent) = try start(Self.files)
            let result = agent.tool("run", "--", "unshare", "-Urm", "true")
            #expect(result.status != 0 && result.error.contains("Operation not permitted"), "\(result)")
        }

        @Test func b12NoDescriptorIsTakenFromAnother() throws {
            let (_, agent) = try start(Self.files)
            #expect(victim(agent, "syscall", "438", "0", "0", "0").output == "errno 1 EPERM\n")
        }

        /// The first write copies the file up; then it is made anew.
        @Test func b14EveryInodeUnderAName() throws {
            let scratch = try Scratch(.overlay, ownedBy: Scratch.user)
            let (reader, secret) = (scratch.path("bin/reader"), scratch.path("prot/secret"))
            try FileManager.default.copyItem(atPath: Self.victim, toPath: reader)
            let rule = "matchPaths: [{path: \"@/prot/secret\", fromSource: [{path: \"@/bin/reader\"}]}]"
            let agent = try AgentUnderTest(
                scratch, policies: ["p.yaml": AgentUnderTest.policy(file: rule)], options: ["--rootless"])
            func expectRefused(_ number: Int) {
                #expect(agent.tool(["run", "--", reader, "read", secret]).output == "errno 13 EACCES\n")
                expectAlert(agent, "File", secret, number: number)
            }
            expectRefused(1)
            #expect(agent.victim("append", secret).output == "ok\n")
            expectRefused(2)
            try FileManager.default.removeItem(atPath: secret)
            #expect(agent.victim("create", secret).output == "ok\n")
            expectRefused(3)
            #expect(scratch.text("prot/secret") == "OVERWRITTEN\n")
        }

        // MARK: - Programs

        /// Lists of what the tool itself and the loader need, and the scratch's `bin`.
        private static func allowList(_ section: String, _ more: String = "") -> String {
            let directories = ["/usr/", "/bin/", "/lib/", "/lib64/", "/etc/", "/proc/", "/dev/", "/sys/"].map {
                "{dir: \"\($0)\", recursive: true}"
            }
            let own = "{dir: \"\(AgentUnderTest.binaries)/\", recursive: true}"
            let rules =
                "matchDirectories: [\((directories + [own, more]).filter { !$0.isEmpty }.joined(separator: ", "))]"
            return section == "file"
                ? AgentUnderTest.policy(file: rules, action: "Allow")
                : AgentUnderTest.policy(process: rules, action: "Allow")
        }

        @Test func b18ALibraryThatIsNotListedIsNotPreloaded() throws {
            let scratch = try Scratch(ownedBy: Scratch.user)
            let library = scratch.path("work/evil.so")
            let built = Shell.run(
                ["cc", "-shared", "-fPIC", "-x", "c", "-o", library, "-"],
                input:
                    "#include <unistd.h>\n__attribute__((constructor)) static void run(void) { write(1, \"loaded\\n\", 7); }\n"
            )
            #expect(built.status == 0, "\(built)")
            let agent = try AgentUnderTest(
                scratch, policies: ["p.yaml": Self.allowList("file", "{dir: \"@/bin/\", recursive: true}")],
                options: ["--rootless", "--file-posture", "block"])
            let words = ["env", "LD_PRELOAD=\(library)", "/usr/bin/true"]
            #expect(agent.run(words).output == "loaded\n")
            let result = agent.tool(["run", "--"] + words)
            #expect(result.output == "" && result.error.contains("cannot be preloaded"), "\(result)")
            let alerts = agent.alerts(atLeast: 1) { $0["Resource"] == library }
            #expect(!alerts.isEmpty)
            #expect(alerts.allSatisfy { $0["Action"] == "Block" && $0["PolicyName"] == "DefaultPosture" })
        }

        @Test func b19ACopyIsNotListed() throws {
            let (scratch, agent) = try start(
                Self.allowList("process", "{dir: \"@/bin/\", recursive: true}"), options: ["--file-posture", "block"])
            let copy = scratch.path("work/copy")
            try FileManager.default.copyItem(atPath: scratch.path("bin/allowed"), toPath: copy)
            let marker = scratch.path("work/marker")
            #expect(victim(agent, "exec", copy, marker).output == "errno 13 EACCES\n")
            expectAlert(agent, "Process", copy, policy: "DefaultPosture")
            #expect(scratch.text("work/marker") == nil)
            #expect(agent.tool("run", "--", scratch.path("bin/allowed"), marker).status == 0)
            #expect(scratch.text("work/marker") == "")
        }

        /// So with KubeArmor: the rule is about a path.
        @Test func b19ACopyRunsUnderAPathRule() throws {
            let (scratch, agent) = try start(Self.program)
            try FileManager.default.copyItem(atPath: scratch.path("bin/denied"), toPath: scratch.path("work/copy"))
            #expect(agent.tool("run", "--", scratch.path("work/copy"), scratch.path("work/marker")).status == 0)
            #expect(scratch.text("work/marker") == "")
            #expect(agent.alerts().isEmpty)
        }

        // MARK: - The filter

        #if arch(x86_64)
            @Test(arguments: [
                ("b20 ptrace attach", ["syscall", "101", "16", "1", "0"], "errno 1 EPERM"),
                ("b20 ptrace seize", ["syscall", "101", "0x4206", "1", "0"], "errno 1 EPERM"),
                ("b20 process_vm_writev", ["syscall", "311", "1", "0", "0"], "errno 1 EPERM"),
                ("b20 pidfd_getfd", ["syscall", "438", "0", "0", "0"], "errno 1 EPERM"),
                ("b21 setns", ["syscall", "308", "0", "0", "0"], "errno 1 EPERM"),
                ("b22 mount", ["syscall", "165", "0", "0", "0"], "errno 1 EPERM"),
                ("b22 fsopen", ["syscall", "430", "0", "0", "0"], "errno 1 EPERM"),
                ("b24 i386 socketcall", ["int80", "102", "1", "0", "0"], "errno 38 ENOSYS"),
                ("b24 i386 unshare", ["int80", "310", "0x10000000", "0", "0"], "errno 1 EPERM"),
                ("b24 i386 socket", ["int80", "359", "2", "1", "0"], "errno 13 EACCES"),
                ("b24 a number nobody has", ["syscall", "9999", "0", "0", "0"], "errno 38 ENOSYS"),
                ("b25 io_uring_setup", ["syscall", "425", "8", "0", "0"], "errno 38 ENOSYS"),
                ("b26 clone3", ["syscall", "435", "0", "0", "0"], "errno 38 ENOSYS"),
                ("b26 unshare of a user namespace", ["syscall", "272", "0x10000000", "0", "0"], "errno 1 EPERM"),
                ("b26 clone with a mount namespace", ["syscall", "56", "0x20011", "0", "0"], "errno 1 EPERM"),
            ])
            func b20b21b22b24b25b26TheFilterIsTheSame(name: String, words: [String], expected: String) throws {
                let (_, agent) = try start(AgentUnderTest.policy(network: Self.everyProtocol))
                #expect(agent.tool(["run", "--", Self.victim] + words).output == expected + "\n", "\(name)")
                #expect(
                    agent.alerts(atLeast: expected.contains("EACCES") ? 1 : 0).count
                        == (expected.contains("EACCES") ? 1 : 0))
            }

            @Test func b24AnX32CallKills() throws {
                let (_, agent) = try start(AgentUnderTest.policy(network: Self.everyProtocol))
                let result = victim(agent, "syscall", "0x40000027", "0", "0", "0")
                #expect(result.status == 128 + 31 && result.output == "", "\(result)")
            }
        #endif

        @Test func b21AGrandchildInASessionOfItsOwn() throws {
            let (_, agent) = try start(AgentUnderTest.policy(network: Self.everyProtocol))
            #expect(victim(agent, "daemon-socket", "2", "1", "0").output == "errno 13 EACCES\n")
            expectAlert(agent, "Network", "protocol=TCP")
        }

        /// Managers of the user's own, and a socket that a rule names.
        @Test func b21NoManagerIsAsked() throws {
            let (scratch, agent) = try start(
                AgentUnderTest.policy(file: "matchPaths: [{path: \"@/work/named\"}]"))
            let folder = "/run/user/\(Scratch.user)"
            let isNew = !FileManager.default.fileExists(atPath: folder)
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let (manager, named, other) = (
                folder + "/docker.sock", scratch.path("work/named"), scratch.path("work/other")
            )
            try Shell.check("chown", "-R", Scratch.user, folder)
            defer { try? FileManager.default.removeItem(atPath: isNew ? folder : manager) }
            let server = try Background(
                scratch.enter + [Self.victim, "unix-serve", manager, named, other], folder: scratch.outside)
            #expect(agent.victim("unix-connect", manager, "plain").output == "ok user \(Scratch.user)\n")
            #expect(victim(agent, "unix-connect", manager, "plain").output == "errno 13 EACCES\n")
            expectAlert(agent, "File", manager, policy: "SupervisedTree")
            #expect(victim(agent, "unix-connect", named, "plain").output == "errno 13 EACCES\n")
            expectAlert(agent, "File", named, number: 2)
            #expect(victim(agent, "unix-connect", other, "plain").output == "ok user \(Scratch.user)\n")
            #expect(agent.alerts().count == 2)
            #expect(server.lines == ["ready", "0 user \(Scratch.user)", "2 user \(Scratch.user)"])
        }

        // MARK: - The agent

        /// Four processes at once; every denial is made, and accounted for.
        @Test func b28AFloodOfDenials() throws {
            let (scratch, agent) = try start(Self.files)
            for number in 0..<100 { try scratch.write("work/f\(number)", "x") }
            let result = victim(
                agent, "flood", "4", "1000", "100", scratch.path("work"), scratch.path("prot/secret"))
            #expect(result.output == "succeeded 3600 refused 400 forbidden 0\n", "\(result)")
            #expect(agent.alerts(atLeast: 400).count == 400)
        }

        @Test func b29NoForbiddenOpenSucceedsDuringReloads() throws {
            let scratch = try Scratch(ownedBy: Scratch.user)
            // Throttled: a front of no more than one processor would be busy with alerts for longer than a reload is waited for.
            let agent = try AgentUnderTest(
                scratch, policies: ["p.yaml": Self.files], options: ["--rootless"], isThrottled: true)
            let hammer = Process()
            let output = Pipe()
            let words =
                scratch.enter + [
                    AgentUnderTest.binaries + "/portcullis", "run", "--socket", agent.socket, "--", "timeout", "300",
                    Self.victim, "hammer-until", scratch.path("prot/secret"), scratch.path("work/stop"), "1000",
                ]
            hammer.executableURL = URL(fileURLWithPath: words[0])
            hammer.arguments = Array(words.dropFirst())
            hammer.standardOutput = output
            try hammer.run()
            let other = AgentUnderTest.policy(
                file: "\(AgentUnderTest.protectedTree), matchPaths: [{path: \"@/bin/denied\"}]")
            for round in 1...Effort.times(100) {
                let text = (round % 2 == 0 ? Self.files : other).replacingOccurrences(of: "@", with: scratch.root)
                let result = agent.tool("apply", "-f", "-", input: text)
                #expect(result.status == 0, "\(result)")
            }
            try scratch.write("work/stop", "")
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            hammer.waitUntilExit()
            #expect(text.hasPrefix("succeeded 0 refused "), "\(text)")
        }

        @Test func b30TheFirstInstruction() throws {
            let (scratch, agent) = try start(Self.files)
            for round in 1...20 {
                #expect(victim(agent, "read", scratch.path("prot/secret")).output == "errno 13 EACCES\n")
                expectAlert(agent, "File", scratch.path("prot/secret"), number: round)
            }
        }

        // MARK: - Packets

        @Test(arguments: ["sendto", "sendmsg", "sendmmsg", "write", "mapped"])
        func b31NoPacketLeavesATreeWithoutUDP(way: String) throws {
            let place = try TestNetwork(ownedBy: Scratch.user)
            let agent = try AgentUnderTest(
                place, policies: ["p.yaml": AgentUnderTest.policy(network: "matchProtocols: [{protocol: udp}]")],
                options: ["--rootless"])
            let receiver = try place.own.run { try TestSocket(4, SOCK_DGRAM) }
            try receiver.bind("127.0.0.1", 5353)
            let words = [Self.victim, "send-udp", "5353", way]
            // The control: outside it arrives.
            #expect(agent.run(words).output == "ok\n")
            #expect(receiver.receive(2000) != nil)
            while receiver.receive(50) != nil {}
            #expect(agent.tool(["run", "--"] + words).output == "errno 13 EACCES\n")
            #expect(!receiver.isReadable(50))
            expectAlert(agent, "Network", "protocol=UDP")
        }

        @Test(arguments: [["2", "2", "1"], ["10", "2", "58"], ["2", "3", "1"]])
        func b32NoRawSocketAndNoPing(registers: [String]) throws {
            let (_, agent) = try start(AgentUnderTest.policy(network: Self.everyProtocol))
            #expect(agent.tool(["run", "--", Self.victim, "socket"] + registers).output == "errno 13 EACCES\n")
            #expect(agent.alerts(atLeast: 1).count == 1)
        }

        @Test func b33NoOtherNetwork() throws {
            let (_, agent) = try start(AgentUnderTest.policy(network: Self.everyProtocol))
            let result = agent.tool("run", "--", "unshare", "-Urn", "true")
            #expect(result.status == 1 && result.error.contains("Operation not permitted"), "\(result)")
        }
    }
}
