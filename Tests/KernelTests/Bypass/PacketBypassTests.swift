import Foundation
import Testing

extension KernelSuite {
    /// B31 to B33 outside of supervised trees, where the packet filter holds what leaves and nobody sees a call.
    @Suite("Packets outside of trees")
    struct PacketBypassTests {
        private static let victim = AgentUnderTest.binaries + "/portcullis-victim"

        /// An agent whose host policy blocks these protocols, or, for the control, one that nobody here speaks.
        private func start(_ protocols: [String], blocks: Bool) throws -> (TestNetwork, AgentUnderTest) {
            let network = try TestNetwork()
            let items = (blocks ? protocols : ["sctp"]).map { "{protocol: \($0)}" }.joined(separator: ", ")
            let policy = AgentUnderTest.policy(network: "matchProtocols: [\(items)]")
            return (network, try AgentUnderTest(network, policies: ["p.yaml": policy]))
        }

        private func expect(
            _ agent: AgentUnderTest, _ resources: [String], _ sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let found = agent.alerts(atLeast: resources.count)
            #expect(found.map { $0["Resource"] } == resources, "\(found.map(\.fields))", sourceLocation: sourceLocation)
            for alert in found {
                #expect(alert["PolicyName"] == "p" && alert["Action"] == "Block", sourceLocation: sourceLocation)
                #expect(
                    alert["Enforcer"] == "nftables" && alert["Result"] == "Permission denied",
                    sourceLocation: sourceLocation)
            }
        }

        /// Every way of sending a datagram, each on a socket of its own, and those of opening a connection.
        @Test(arguments: [true, false]) func b31NoWayOfSendingGetsAround(blocks: Bool) throws {
            let (network, agent) = try start(["udp", "tcp"], blocks: blocks)
            let resolver = try Resolver(at: network.other)
            let datagrams = QueryTests.ways.map(\.way) + ["connected-write"]
            for way in datagrams {
                let result = agent.run([Self.victim, "query", "\(network.other.ipv4):53", way, "way.test"])
                #expect(result.output.contains("answered") != blocks, "\(way): \(result)")
                #expect(resolver.takeNames().contains("way.test") != blocks, "\(way)")
            }
            let streams = ["tcp-send", "tcp-nonblocking", "tcp-fastopen"]
            for way in streams {
                // What is refused of a connection is sent again for minutes.
                let ask = [Self.victim, "query", "\(network.other.ipv4):53", way, "way.test"]
                let result = agent.run(blocks ? ["timeout", "1"] + ask : ask)
                #expect(result.output.contains("answered") != blocks, "\(way): \(result)")
            }
            #expect(resolver.connections == (blocks ? 0 : streams.count))
            expect(
                agent,
                blocks
                    ? datagrams.map { _ in "protocol=UDP" } + streams.map { _ in "protocol=TCP" } : [])
        }

        /// A socket that was there before the rules.
        @Test func b31AnOlderSocketIsNoWayAround() throws {
            let network = try TestNetwork()
            let receiver = try network.other.run { try TestSocket(4, SOCK_DGRAM) }
            try receiver.bind("0.0.0.0", 4001)
            let sender = try network.own.run { try TestSocket(4, SOCK_DGRAM) }
            let agent = try AgentUnderTest(
                network,
                policies: ["p.yaml": AgentUnderTest.policy(network: "matchProtocols: [{protocol: udp}]")])
            #expect(sender.send(to: network.other.ipv4, 4001) == EPERM)
            #expect(receiver.receive() == nil)
            expect(agent, ["protocol=UDP"])
        }

        /// What a raw socket sends is a packet of the protocol that its header says; packet sockets are said not to be seen.
        @Test(arguments: [true, false]) func b32ARawSocketGetsAroundNothing(blocks: Bool) throws {
            let (network, agent) = try start(["udp", "icmp"], blocks: blocks)
            let datagrams = try network.other.run { try TestSocket(4, SOCK_DGRAM) }
            try datagrams.bind("0.0.0.0", 4001)
            let echoes = try network.other.run { try TestSocket(4, SOCK_RAW, Int32(IPPROTO_ICMP)) }
            // RFC 768, to port 4001, without a checksum.
            let datagram: [UInt8] = [0x10, 0x01, 0x0F, 0xA1, 0, 9, 0, 0, 0x78]
            // RFC 791; the kernel writes its length, source and checksum.
            let header: [UInt8] = [0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 10, 77, 0, 2]
            // RFC 792, an echo request of number 1; its checksum is of these bytes.
            let echo: [UInt8] = [8, 0, 0xF7, 0xFD, 0, 1, 0, 1]
            let ways: [(number: Int32, bytes: [UInt8], receiver: TestSocket)] = [
                (Int32(IPPROTO_UDP), datagram, datagrams), (Int32(IPPROTO_RAW), header + datagram, datagrams),
                (Int32(IPPROTO_ICMP), echo, echoes),
            ]
            for way in ways {
                let sender = try network.own.run { try TestSocket(4, SOCK_RAW, way.number) }
                #expect(sender.send(way.bytes, to: network.other.ipv4, 0) == (blocks ? EPERM : 0), "\(way.number)")
                #expect((way.receiver.receive() != nil) != blocks, "\(way.number)")
            }
            try Shell.check(network.enter + ["sh", "-c", "echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range"])
            let ping = try network.own.run { try TestSocket(4, SOCK_DGRAM, Int32(IPPROTO_ICMP)) }
            #expect(ping.send(echo, to: network.other.ipv4, 0) == (blocks ? EPERM : 0))
            #expect((echoes.receive() != nil) != blocks)
            // What both sockets of a protocol send is one flow: ICMP has no ports.
            let flows = ["protocol=UDP", "protocol=ICMP"]
            expect(agent, blocks ? flows : [])
            #expect(agent.tool("status").output.contains("AF_PACKET sockets are not seen"))
        }

        /// A network that an ordinary user makes has no way out.
        @Test func b33ANetworkOfOnesOwnLeadsNowhere() throws {
            let (network, agent) = try start(["udp"], blocks: true)
            let receiver = try network.other.run { try TestSocket(4, SOCK_DGRAM) }
            try receiver.bind("0.0.0.0", 4001)
            let send = [Self.victim, "datagrams", network.other.ipv4, "4001", "1", "1"]
            for other in [["unshare", "-n"], Scratch.become(Scratch.user) + ["unshare", "-Urn"]] {
                #expect(agent.run(other + send).output == "sent 0 errno \(ENETUNREACH)\n", "\(other)")
            }
            #expect(receiver.receive() == nil)
            expect(agent, [])
            #expect(agent.run(send).output == "sent 0 errno \(EPERM)\n")
            #expect(receiver.receive() == nil)
            expect(agent, ["protocol=UDP"])
        }
    }
}
