import Foundation
import Synchronization
import Testing

extension KernelSuite {
    /// Trees with namespaces of their own: what they open is theirs, not the agent's, and no less asked about.
    @Suite("Openers' namespaces")
    struct OpenersNamespaceTests {
        private func start(_ scratch: Scratch) throws -> AgentUnderTest {
            try AgentUnderTest(
                scratch, policies: ["p.yaml": AgentUnderTest.policy(file: "matchPaths: [{path: \"@/prot/secret\"}]")],
                options: AgentMode.callsOnly.options)
        }

        private func run(_ agent: AgentUnderTest, _ namespaces: String..., command: [String]) -> Shell.Result {
            agent.run(
                ["unshare"] + namespaces + [
                    AgentUnderTest.binaries + "/portcullis", "run", "--socket", agent.socket, "--",
                ] + command)
        }

        @Test func aNetworkDeviceComesIntoItsMakersNetwork() throws {
            let scratch = try Scratch()
            let agent = try start(scratch)
            let device = scratch.path("work/tun")
            try Shell.check("mknod", device, "c", "10", "200")
            let name = "pc\(UUID().uuidString.prefix(8))"
            // TUNSETIFF, IFF_TUN | IFF_NO_PI
            let script = """
                import fcntl, os, struct
                tun = os.open("\(device)", os.O_RDWR)
                fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH14x", b"\(name)", 0x1001))
                print("\(name)" in open("/proc/self/net/dev").read())
                """
            let result = run(agent, "-n", command: ["python3", "-c", script])
            #expect(result.output == "True\n", "\(result)")
        }

        @Test func sharedMemoryIsListedWhereItIs() throws {
            let scratch = try Scratch()
            let agent = try start(scratch)
            let made = try Shell.check("ipcmk", "-M", "4096")
            let id = try #require(made.split(whereSeparator: \.isWhitespace).last.map(String.init))
            defer { _ = Shell.run("ipcrm", "-m", id) }
            func listed(_ result: Shell.Result) -> [String] {
                result.output.split(separator: "\n").compactMap { line in
                    line.split(separator: " ").dropFirst().first.map(String.init)
                }
            }
            #expect(listed(agent.tool("run", "--", "cat", "/proc/sysvipc/shm")).contains(id))
            let own = listed(run(agent, "-i", command: ["cat", "/proc/sysvipc/shm"]))
            #expect(own == ["shmid"], "\(own)")
        }

        /// A setting is looked up once more in the caller's namespaces. (The agent that did not ask the rules again let one of nine through.)
        @Test func aNameThatWasASettingOpensNothingForbidden() throws {
            let scratch = try Scratch()
            let agent = try start(scratch)
            let (link, spare, secret) = (
                scratch.path("work/link"), scratch.path("work/spare"), scratch.path("prot/secret")
            )
            let isOver = Mutex(false)
            let flipper = Thread {
                while !isOver.withLock({ $0 }) {
                    for target in ["/proc/sys/kernel/ostype", secret] {
                        symlink(target, spare)
                        rename(spare, link)
                    }
                }
            }
            flipper.start()
            defer { isOver.withLock { $0 = true } }
            let script = """
                import os
                opened = denied = won = 0
                while min(opened, denied) < \(Effort.times(2000)):
                    try:
                        with open("\(link)") as file: text = file.read()
                        opened += 1
                        won += "SECRET" in text
                    except PermissionError: denied += 1
                    except FileNotFoundError: pass
                print(opened > 0, denied > 0, won)
                """
            let result = run(agent, "-n", command: ["timeout", "120", "python3", "-c", script])
            #expect(result.output == "True True 0\n", "\(result)")
        }
    }
}
