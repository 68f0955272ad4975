import Foundation
import Testing

extension KernelSuite {
    /// B31 to B33 in supervised trees: packets that no connection was made for, raw and packet sockets, other networks.
    @Suite("B31")
    struct B31SendTests {
        /// A UDP socket of this machine's own that counts what arrives.
        private final class Receiver {
            let port: UInt16
            private let socket: Int32

            init() throws {
                let descriptor = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
                var address = sockaddr_in()
                address.sin_family = sa_family_t(AF_INET)
                address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
                var length = socklen_t(MemoryLayout<sockaddr_in>.size)
                let bound = withUnsafeMutablePointer(to: &address) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
                    }
                }
                (socket, port) = (descriptor, UInt16(bigEndian: address.sin_port))
                if !bound { throw ScratchError(text: "no receiver: \(errno)") }
            }

            deinit { close(socket) }

            /// How many packets have arrived; waits a moment for those on their way.
            func arrived() -> Int {
                var count = 0
                var buffer = [UInt8](repeating: 0, count: 64)
                var poll = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
                while Glibc.poll(&poll, 1, 100) > 0, recv(socket, &buffer, buffer.count, 0) > 0 { count += 1 }
                return count
            }
        }

        private func start(_ network: String) throws -> (Scratch, AgentUnderTest) {
            let scratch = try Scratch()
            return (
                scratch, try AgentUnderTest(scratch, policies: ["p.yaml": AgentUnderTest.policy(network: network)])
            )
        }

        private static let victim = AgentUnderTest.binaries + "/portcullis-victim"

        @Test(arguments: [("sendto", 1), ("sendmsg", 1), ("sendmmsg", 2), ("write", 1), ("mapped", 1)])
        func b31NoPacketLeavesATreeWithoutUDP(way: String, packets: Int) throws {
            let (_, agent) = try start("matchProtocols: [{protocol: udp}]")
            let receiver = try Receiver()
            let words = [Self.victim, "send-udp", "\(receiver.port)", way]
            // The control: outside it arrives.
            #expect(agent.run(words).output == "ok\n")
            #expect(receiver.arrived() == packets)
            #expect(agent.tool(["run", "--"] + words).output == "errno 13 EACCES\n")
            #expect(receiver.arrived() == 0)
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.map { $0["Resource"] } == ["protocol=UDP type=SOCK_DGRAM"])
        }

        @Test(arguments: [
            // Raw IP, raw ICMP, raw ICMPv6, packets with and without their header's cooking, the two kinds of ping.
            ["2", "3", "255"], ["2", "3", "1"], ["10", "3", "58"], ["17", "3", "768"], ["2", "2", "1"],
            ["10", "2", "58"],
        ])
        func b32NoRawSocket(registers: [String]) throws {
            let (_, agent) = try start(
                "matchProtocols: [{protocol: raw}, {protocol: icmp}, {protocol: icmpv6}, {protocol: packet}]")
            #expect(agent.tool(["run", "--", Self.victim, "socket"] + registers).output == "errno 13 EACCES\n")
            #expect(agent.alerts(atLeast: 1).count == 1)
            #expect(agent.tool(["run", "--", Self.victim, "socket", "2", "1", "0"]).output == "ok\n")
        }

        @Test func b33NoOtherNetwork() throws {
            let (_, agent) = try start("matchProtocols: [{protocol: udp}]")
            for words in [
                ["unshare", "-n", "true"], ["unshare", "-Urn", "true"],
            ] {
                let result = agent.tool(["run", "--"] + words)
                #expect(result.status == 1, "\(result)")
                #expect(result.error.contains("Operation not permitted"), "\(result)")
            }
        }
    }
}
