import Foundation
import Testing

extension KernelSuite {
    /// Kernels that have listeners, but not yet all of their flags (Linux 5.9 to 6.5): the ways around them do the same.
    @Suite("Older listeners")
    struct OlderListenerTests {
        /// A root in which every program sees such a kernel.
        private func start(without flags: [String], _ policy: String) throws -> (PrivateRoot, AgentUnderTest) {
            let root = try PrivateRoot(
                hostName: "node", programs: ["bash", "cat", "mkdir", "mv", "ls"])
            let built = Shell.run(
                ["cc", "-O1", "-shared", "-fPIC"] + flags.map { "-DWITHOUT_\($0)" } + [
                    "-o", root.mount + "/usr/lib/older-listener.so",
                    TestFiles.package + "/integration/older-listener/preload.c",
                ])
            #expect(built.status == 0, "\(built)")
            try root.write("/etc/ld.so.preload", "/usr/lib/older-listener.so\n")
            try FileManager.default.createDirectory(atPath: root.mount + "/prot", withIntermediateDirectories: true)
            try root.write("/prot/secret", "SECRET\n")
            return (
                root, try AgentUnderTest(root, policies: ["p.yaml": policy], options: AgentMode.callsOnly.options)
            )
        }

        private static let files = AgentUnderTest.policy(
            file: "matchDirectories: [{dir: /prot/, recursive: true}]",
            network: "matchProtocols: [{protocol: udp}]")

        private static let names = [
            "SEND": "seccomp.add-descriptor-send", "WAIT": "seccomp.wait-killable", "WAKE": "seccomp.sync-wake-up",
        ]

        /// The lines of the probe about these flags, by name: "yes" or "no".
        private func probed(_ agent: AgentUnderTest) -> [String: String] {
            let lines = agent.run([agent.place.binaries + "/portcullis", "probe"]).output.split(separator: "\n")
            return Dictionary(
                lines.map { $0.split(separator: " ") }.filter { $0.count > 1 }.map { (String($0[0]), String($0[1])) },
                uniquingKeysWith: { one, _ in one })
        }

        @Test(arguments: [["SEND"], ["WAIT"], ["WAKE"], ["SEND", "WAIT", "WAKE"]])
        func everythingHoldsWithout(flags: [String]) throws {
            let (root, agent) = try start(without: flags, Self.files)
            let found = probed(agent)
            for (flag, name) in Self.names { #expect(found[name] == (flags.contains(flag) ? "no" : "yes"), "\(name)") }
            func victim(_ words: String...) -> String {
                agent.tool(["run", "--", agent.place.binaries + "/portcullis-victim"] + words).output
            }
            #expect(victim("read", "/prot/secret") == "errno 13 EACCES\n")
            #expect(victim("creat", "/prot/new") == "errno 13 EACCES\n")
            #expect(victim("socket", "2", "2", "0") == "errno 13 EACCES\n")
            #expect(agent.alerts(atLeast: 3).count == 3)
            // What is handed over is open, closed on exec where it was asked for, and the lowest number that is free.
            let script =
                "cd /tmp; echo one > f; exec 3<> f; read -r line <&3; echo \"$line\"; mkdir d; mv f d; cat d/f; ls d"
            #expect(agent.tool("run", "--", "bash", "-c", script).output == "one\none\nf\n")
            #expect(agent.alerts().count == 3)
            agent.stop()
            #expect(root.text("/prot/secret") == "SECRET\n" && root.text("/prot/new") == nil)
        }

        /// A signal calls the thread away from a call that was performed: the kernel makes it again, and it is told what came of it.
        @Test func anInterruptedCallIsDoneOnceWithoutWaitingKillably() throws {
            let (_, agent) = try start(without: ["WAIT"], Self.files)
            let result = agent.tool(
                "run", "--", agent.place.binaries + "/portcullis-victim", "interrupted", "/tmp", "300")
            let errors = try #require(Int(result.output.dropFirst("errors ".count).dropLast()), "\(result)")
            // Without memory for what was done it is a third of 900.
            #expect(errors < 30, "\(errors)")
        }

        /// It was given the descriptor, and called away before it had its number: it gets that when it calls again, and no other descriptor.
        @Test func anInterruptedOpenIsGivenItsDescriptorOnce() throws {
            let (_, agent) = try start(without: ["SEND", "WAIT"], Self.files)
            let victim = agent.place.binaries + "/portcullis-victim"
            let result = agent.tool("run", "--", victim, "interrupted-left", "/tmp", "1000")
            let left = try #require(Int(result.output.dropFirst("left ".count).dropLast()), "\(result)")
            // Otherwise it is each of them. (The kernel can throw an answer away that it has taken: then nobody knows.)
            #expect(left < 250, "\(left)")
        }

        /// A listener of somebody else's in the chain: the kernel has no room for another.
        @Test func aSecondListenerIsReported() throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest(
                scratch, policies: ["p.yaml": AgentUnderTest.policy(file: AgentUnderTest.protectedTree)],
                // Otherwise no tree gets as far as to ask.
                options: ["--on-failure", "manager-asked=allow"])
            let inner = [AgentUnderTest.binaries + "/portcullis", "run", "--socket", agent.socket, "--", "echo", "ran"]
            let result = agent.tool(["run", "--"] + inner)
            #expect(result.status == 1 && result.output == "", "\(result)")
            #expect(
                result.error
                    == "portcullis: this process is already under a seccomp listener of somebody else's: it cannot have ours\n"
            )
            #expect(agent.tool("run", "--", "echo", "ran").output == "ran\n")
        }
    }
}
