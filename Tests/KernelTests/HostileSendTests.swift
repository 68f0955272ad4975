import Foundation
import Testing

extension KernelSuite {
    /// Sends whose sizes are no sizes, or change while they wait.
    @Suite("Hostile sends")
    struct HostileSendTests {
        /// Two threads, so that what they send is performed for them.
        private static let preamble = """
            import ctypes, mmap, socket, threading, time
            threading.Thread(target=lambda: time.sleep(60), daemon=True).start()
            libc = ctypes.CDLL(None, use_errno=True)
            one, other = socket.socketpair()
            def told(result): print(result if result < 0 else "sent", ctypes.get_errno() if result < 0 else 0)

            """

        private func expectSurvival(_ script: String, _ output: String) throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest(
                scratch,
                policies: [
                    "p.yaml": AgentUnderTest.policy(
                        network: "matchProtocols: [{protocol: udp, fromSource: [{path: /usr/bin/curl}]}]")
                ])
            let worker = agent.pid(of: "worker")
            let result = agent.tool("run", "--", "timeout", "60", "python3", "-c", Self.preamble + script)
            #expect(result.output == output, "\(result)")
            #expect(agent.pid(of: "worker") == worker)
            #expect(!agent.log.contains("the worker has ended"), "\(agent.log)")
        }

        @Test func aSizeBeyondAllMemoryIsNoMoreThanTheKernelTakes() throws {
            try expectSurvival(
                """
                # A page, and behind it one that cannot be read.
                area = mmap.mmap(-1, 8192)
                start = ctypes.addressof(ctypes.c_char.from_buffer(area))
                libc.mprotect(ctypes.c_void_p(start + 4096), 4096, 0)
                name = ctypes.create_string_buffer(b"\\x01\\x00/x", 16)
                libc.sendto.restype = ctypes.c_ssize_t
                told(libc.sendto(one.fileno(), ctypes.c_void_p(start), ctypes.c_size_t(2**64 - 1), 0, name, 16))
                """, "-1 14\n")
        }

        @Test func aMessageMayBecomeShorterThanWhatWasSentOfIt() throws {
            try expectSurvival(
                """
                area = ctypes.create_string_buffer(4 << 20)
                part = (ctypes.c_uint64 * 2)(ctypes.addressof(area), len(area))
                header = (ctypes.c_uint64 * 7)(0, 0, ctypes.addressof(part), 1, 0, 0, 0)
                def shorten():
                    # Once something has been sent, and there is no more room.
                    while not other.recv(1, socket.MSG_PEEK): pass
                    time.sleep(0.5)
                    part[1] = 1
                    while other.recv(1 << 16): pass
                threading.Thread(target=shorten, daemon=True).start()
                libc.sendmsg.restype = ctypes.c_ssize_t
                told(libc.sendmsg(one.fileno(), header, 0))
                """, "sent 0\n")
        }
    }
}
