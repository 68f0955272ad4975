import Foundation
import Testing

extension KernelSuite {
    /// What the filter of a supervised tree decides by itself, on the real kernel.
    @Suite("Tree filters")
    struct TreeFilterTests {
        private func start() throws -> (Scratch, AgentUnderTest) {
            let scratch = try Scratch()
            let policy = AgentUnderTest.policy(network: "matchProtocols: [{protocol: tcp}]")
            return (scratch, try AgentUnderTest(scratch, policies: ["p.yaml": policy]))
        }

        private func run(_ agent: AgentUnderTest, _ words: [String]) -> Shell.Result {
            agent.tool(["run", "--", AgentUnderTest.binaries + "/portcullis-victim"] + words)
        }

        #if arch(x86_64)
            @Test(arguments: [
                ("a number nobody has", ["syscall", "9999", "0", "0", "0"], "errno 38 ENOSYS"),
                ("b25 io_uring_setup", ["syscall", "425", "8", "0", "0"], "errno 38 ENOSYS"),
                ("b26 clone3", ["syscall", "435", "0", "0", "0"], "errno 38 ENOSYS"),
                ("b26 unshare of a user namespace", ["syscall", "272", "0x10000000", "0", "0"], "errno 1 EPERM"),
                ("b26 unshare of a time namespace", ["syscall", "272", "0x80", "0", "0"], "errno 1 EPERM"),
                ("b26 clone with a mount namespace", ["syscall", "56", "0x20011", "0", "0"], "errno 1 EPERM"),
                ("b26 setns", ["syscall", "308", "0", "0", "0"], "errno 1 EPERM"),
                ("b22 mount", ["syscall", "165", "0", "0", "0"], "errno 1 EPERM"),
                ("b22 fsopen", ["syscall", "430", "0", "0", "0"], "errno 1 EPERM"),
                ("b06 open_by_handle_at", ["syscall", "304", "0", "0", "0"], "errno 1 EPERM"),
                ("b20 ptrace attach", ["syscall", "101", "16", "1", "0"], "errno 1 EPERM"),
                ("b20 ptrace seize", ["syscall", "101", "0x4206", "1", "0"], "errno 1 EPERM"),
                ("b20 process_vm_writev", ["syscall", "311", "1", "0", "0"], "errno 1 EPERM"),
                ("b20 pidfd_getfd", ["syscall", "438", "0", "0", "0"], "errno 1 EPERM"),
                ("b24 i386 socketcall", ["int80", "102", "1", "0", "0"], "errno 38 ENOSYS"),
                ("b24 i386 unshare", ["int80", "310", "0x10000000", "0", "0"], "errno 1 EPERM"),
                ("an ordinary call", ["syscall", "39", "0", "0", "0"], "ok"),
                ("tracing asked for by the child", ["syscall", "101", "0", "0", "0"], "ok"),
            ])
            func aCallThatIsDecidedByItsRegisters(name: String, words: [String], expected: String) throws {
                let (_, agent) = try start()
                #expect(run(agent, words).output == expected + "\n", "\(name)")
                #expect(agent.alerts().isEmpty)
            }

            @Test func b24AnX32CallKills() throws {
                let (_, agent) = try start()
                // getpid with bit 30; SIGSYS is 31.
                let result = run(agent, ["syscall", "0x40000027", "0", "0", "0"])
                #expect(result.status == 128 + 31, "\(result)")
                #expect(result.output == "")
            }

            @Test func b24AnI386SocketIsASocket() throws {
                let (_, agent) = try start()
                #expect(run(agent, ["int80", "359", "2", "1", "0"]).output == "errno 13 EACCES\n")
                let alerts = agent.alerts(atLeast: 1)
                #expect(alerts.count == 1)
                #expect(alerts.first?["Resource"] == "protocol=TCP type=SOCK_STREAM")
            }
        #endif

        @Test func b32CapabilitiesThatAreBlockedAreGone() throws {
            let scratch = try Scratch()
            let policy = AgentUnderTest.policy(capabilities: "matchCapabilities: [{capability: net_raw}]")
            let agent = try AgentUnderTest(scratch, policies: ["p.yaml": policy])
            #expect(agent.victim("socket", "2", "3", "1").output == "ok\n")
            #expect(run(agent, ["socket", "2", "3", "1"]).output == "errno 1 EPERM\n")
            let sets = agent.tool(["run", "--", "grep", "Cap", "/proc/self/status"]).output
            for line in sets.split(separator: "\n") {
                let value = UInt64(line.split(separator: "\t").last ?? "", radix: 16)
                // CAP_NET_RAW is 13; nothing else is missing.
                #expect(value.map { $0 >> 13 & 1 } == 0, "\(line)")
            }
            #expect(sets.contains("CapEff") && !sets.contains("CapEff:\t0000000000000000"))
        }

        @Test func programsWorkAsWithoutUs() throws {
            let (scratch, agent) = try start()
            let script = """
                import os, subprocess, threading, multiprocessing, sqlite3, tempfile
                result = []
                thread = threading.Thread(target=lambda: result.append(1)); thread.start(); thread.join()
                result.append(subprocess.run(['id', '-u'], capture_output=True, text=True).stdout.strip())
                pool = multiprocessing.Pool(2); result.append(sum(pool.map(abs, [-1, -2, -3]))); pool.close(); pool.join()
                base = sqlite3.connect(os.path.join(tempfile.mkdtemp(dir='\(scratch.root)'), 'x.db'))
                base.execute('create table t (a)'); base.execute('insert into t values (4)'); base.commit()
                result.append(base.execute('select a from t').fetchone()[0])
                print(result)
                """
            let plain = Shell.run("python3", "-c", script)
            let supervised = agent.tool(["run", "--", "python3", "-c", script])
            #expect(plain.output == "[1, '0', 6, 4]\n", "\(plain)")
            #expect(supervised.output == plain.output, "\(supervised)")
            #expect(supervised.status == 0)
            #expect(agent.alerts().isEmpty)
        }
    }
}
