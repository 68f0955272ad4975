import Foundation
import Testing

extension KernelSuite {
    /// The worker performs calls in others' names. What only it may open is not for them.
    @Suite("The agent's own process")
    struct OwnProcessTests {
        /// Opens a file for reading and writing in ways that the kernel takes for different ones; prints how each ended.
        private static let script = """
            import os, sys
            worker, thread, name = sys.argv[1:]
            def attempt(way, body):
                try:
                    body()
                    print(way, "opened")
                except OSError as error:
                    print(way, error.errno)
            def pinned(path, rest):
                directory = os.open(path, os.O_PATH)
                return os.open(rest, os.O_RDWR, dir_fd=directory)
            attempt("process", lambda: os.open(f"/proc/{worker}/{name}", os.O_RDWR))
            attempt("thread", lambda: os.open(f"/proc/{thread}/{name}", os.O_RDWR))
            attempt("task", lambda: os.open(f"/proc/{worker}/task/{thread}/{name}", os.O_RDWR))
            attempt("dots", lambda: os.open(f"/proc/self/../{worker}/./task/../{name}", os.O_RDWR))
            attempt("create", lambda: os.open(f"/proc/{worker}/{name}", os.O_RDWR | os.O_CREAT, 0o600))
            attempt("pinned", lambda: pinned(f"/proc/{worker}", name))
            attempt("list", lambda: pinned(os.path.dirname(f"/proc/{worker}/{name}"), os.path.basename(name)))
            os.chdir(f"/proc/{worker}")
            attempt("relative", lambda: os.open(name, os.O_RDWR))
            attempt("cwd", lambda: os.open(f"/proc/self/cwd/{name}", os.O_RDWR))
            """

        private static let ways = ["process", "thread", "task", "dots", "create", "pinned", "list", "relative", "cwd"]

        @Test(arguments: AgentMode.allCases) func isNotOpenToItsCallers(mode: AgentMode) throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest(
                scratch, policies: ["p.yaml": AgentUnderTest.policy(file: AgentUnderTest.protectedTree)],
                options: mode.options)
            let worker = try #require(agent.pid(of: "worker"))
            let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(worker)/task")
            let thread = try #require(threads.first { $0 != "\(worker)" })
            // The board that guardian and worker share.
            let board = "/proc/\(worker)/fd/5"
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: board).contains("portcullis-board"))
            for name in ["fd/5", "environ"] {
                for user in [Scratch.become(Scratch.user), []] {
                    let result = agent.tool(
                        ["run", "--"] + user + ["/usr/bin/python3", "-c", Self.script, "\(worker)", thread, name])
                    #expect(result.output == Self.ways.map { $0 + " 13\n" }.joined(), "\(result)")
                }
            }
            // What everybody may know of everybody stays to be seen.
            let shown = agent.tool("run", "--", "ps", "-o", "comm=", "-p", "\(worker)")
            #expect(shown.output == "portcullis-work\n", "\(shown)")
            #expect(agent.alerts().isEmpty)
            #expect(agent.pid(of: "worker") == worker)
        }
    }
}
