import Foundation
import Testing

extension KernelSuite {
    /// `portcullis run --landlock`: the kernel forbids a tree the changes that are performed for it (docs/adr/0021).
    @Suite("Landlock")
    struct LandlockTests {
        private static let victim = AgentUnderTest.binaries + "/portcullis-victim"

        /// What an agent decides with, and whose it is.
        enum Mode: CaseIterable {
            case events, callsOnly, rootless

            var options: [String] {
                switch self {
                case .events: []
                case .callsOnly: ["--calls-only"]
                case .rootless: ["--rootless"]
                }
            }
        }

        private func start(
            _ mode: Mode, _ policy: String = AgentUnderTest.policy(file: AgentUnderTest.protectedTree)
        ) throws -> (Scratch, AgentUnderTest) {
            let scratch = try Scratch(ownedBy: mode == .rootless ? Scratch.user : nil)
            return (scratch, try AgentUnderTest(scratch, policies: ["p.yaml": policy], options: mode.options))
        }

        private func walled(_ agent: AgentUnderTest, _ words: String...) -> Shell.Result {
            agent.tool(["run", "--landlock", "--"] + words)
        }

        @Test(arguments: Mode.allCases) func whatAPolicyPermitsIsDone(mode: Mode) throws {
            let (scratch, agent) = try start(mode)
            let script = """
                cd \(scratch.path("work")) && mkdir d && echo one > f && echo two >> f && ln f hard && ln -s f soft && mv f d/g
                mkfifo pipe; truncate -s 4 d/g; cat d/g; rm hard soft pipe; ls; tty < /dev/null; exit 7
                """
            let plain = agent.run(["bash", "-c", script + "; true"])
            #expect(plain.output == "one\nd\nplain\nnot a tty\n", "\(plain)")
            _ = agent.run(["rm", "-r", scratch.path("work/d")])
            let result = walled(agent, "bash", "-c", script)
            #expect(result.output == plain.output && result.status == 7, "\(result)")
            // A terminal is opened without a path.
            let terminal = walled(
                agent, "python3", "-c",
                "import os; m, s = os.openpty(); os.write(s, b'x'); print(os.read(m, 1), os.path.exists(os.ttyname(s)))"
            )
            #expect(terminal.output == "b'x' True\n", "\(terminal)")
            #expect(agent.alerts().isEmpty)
        }

        /// Every denial is still the agent's, with its alert.
        @Test(arguments: Mode.allCases) func whatAPolicyForbidsIsTold(mode: Mode) throws {
            let (scratch, agent) = try start(mode)
            let attacks = [
                ["write", "@/prot/secret"], ["unlink", "@/prot/secret"], ["creat", "@/prot/new"],
                ["rename", "@/prot/secret", "@/work/x"], ["truncate", "@/prot/secret"], ["mkdir", "@/prot/d"],
            ]
            for (index, words) in attacks.enumerated() {
                let words = words.map { $0.replacingOccurrences(of: "@", with: scratch.root) }
                let result = agent.tool(["run", "--landlock", "--", Self.victim] + words)
                #expect(result.output == "errno 13 EACCES\n", "\(words): \(result)")
                let alerts = agent.alerts(atLeast: index + 1)
                #expect(alerts.count == index + 1, "\(words): \(alerts.map(\.fields))")
                #expect(alerts.last?["Action"] == "Block" && alerts.last?["Enforcer"] == "seccomp")
                #expect(alerts.last?["Resource"]?.hasPrefix(scratch.path("prot")) == true)
            }
            agent.stop()
            #expect(scratch.text("prot/secret") == "SECRET\n")
        }

        /// acct(2) has the kernel open a file for writing, which is no open that is notified: only the wall stands there.
        @Test func whatTheFilterDoesNotSeeMeetsTheWall() throws {
            let (scratch, agent) = try start(.callsOnly)
            let script = """
                import ctypes, sys
                library = ctypes.CDLL(None, use_errno=True)
                result = library.acct(sys.argv[1].encode())
                number = ctypes.get_errno()
                if result == 0: library.acct(None)
                print(result, number if result else 0)
                """
            let words = ["python3", "-c", script, scratch.path("prot/secret")]
            #expect(agent.tool(["run", "--"] + words).output == "0 0\n")
            #expect(agent.tool(["run", "--landlock", "--"] + words).output == "-1 13\n")
        }

        @Test func withoutRulesOnFilesThereIsNoWallToBuild() throws {
            let (_, agent) = try start(.events, AgentUnderTest.policy(network: "matchProtocols: [{protocol: udp}]"))
            let result = walled(agent, "echo", "ran")
            #expect(result.status == 1 && result.output == "", "\(result)")
            #expect(
                result.error
                    == "portcullis: --landlock: no rule is about files, so the tree changes them itself and cannot be forbidden to\n"
            )
        }
    }
}
