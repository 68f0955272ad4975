import Foundation
import Testing

extension KernelSuite {
    /// B31 with sockets that a tree did not make itself: it was started with them.
    @Suite("B31")
    struct B31ForeignSocketTests {
        private static let victim = AgentUnderTest.binaries + "/portcullis-victim"

        /// A call on a socket of a domain's, type's and protocol's, and the hook that its alert names.
        struct Use: Sendable {
            var socket: [String]
            var way: String
            var hook: String
            var resource: String
        }

        private static let uses: [Use] =
            [
                ("connect", "CONNECT"), ("bind", "BIND"), ("sendto", "SENDMSG"), ("sendmsg", "SENDMSG"),
                ("sendmmsg", "SENDMSG"),
            ]
            .map { Use(socket: ["2", "2", "0"], way: $0.0, hook: $0.1, resource: "protocol=UDP type=SOCK_DGRAM") }
            + [
                ("connect", "CONNECT"), ("bind", "BIND"), ("listen", "LISTEN"), ("accept", "ACCEPT"),
                ("accept4", "ACCEPT"),
            ]
            .map { Use(socket: ["2", "1", "0"], way: $0.0, hook: $0.1, resource: "protocol=TCP type=SOCK_STREAM") }
            // Raw IP: what it sends has an address of its own.
            + [("sendto", "SENDMSG"), ("connect", "CONNECT")]
            .map { Use(socket: ["2", "3", "1"], way: $0.0, hook: $0.1, resource: "protocol=ICMP type=SOCK_RAW") }

        private func start(_ network: String, options: [String]) throws -> (TestNetwork, AgentUnderTest) {
            let place = try TestNetwork()
            return (
                place,
                try AgentUnderTest(
                    place, policies: ["p.yaml": AgentUnderTest.policy(network: network)],
                    options: ["--no-packet-filter"] + options)
            )
        }

        /// A program in a tree that is started with a socket by somebody outside.
        private func use(
            _ agent: AgentUnderTest, _ use: Use, threads: Bool, supervised: Bool = true, at port: UInt16 = 5353
        ) -> String {
            let own = use.way.hasPrefix("accept") ? "10.77.0.1:5454" : "-"
            let program = [Self.victim, "use-socket", "9", use.way, "10.77.0.2:\(port)"] + (threads ? ["threads"] : [])
            let tree =
                supervised ? [AgentUnderTest.binaries + "/portcullis", "run", "--socket", agent.socket, "--"] : []
            return agent.run([Self.victim, "with-socket"] + use.socket + ["9", own] + tree + program).output
        }

        @Test(arguments: [false, true]) func b31ASocketFromOutsideIsAskedAbout(threads: Bool) throws {
            let (place, agent) = try start(
                "matchProtocols: [{protocol: udp}, {protocol: tcp}, {protocol: raw}]", options: [])
            let receiver = try place.other.run { try TestSocket(4, SOCK_DGRAM) }
            try receiver.bind(place.other.ipv4, 5353)
            for (index, one) in Self.uses.enumerated() {
                #expect(use(agent, one, threads: threads) == "errno 13 EACCES\n", "\(one)")
                #expect(!receiver.isReadable(20), "\(one)")
                let alerts = agent.alerts(atLeast: index + 1)
                #expect(alerts.count == index + 1, "\(one): \(alerts.map(\.fields))")
                #expect(alerts.last?["PolicyName"] == "p")
                #expect(alerts.last?["Resource"] == one.resource, "\(one)")
                #expect(alerts.last?["Data"] == "lsm=SOCKET_\(one.hook) \(one.resource)", "\(one)")
                #expect(alerts.last?["Action"] == "Block")
                #expect(alerts.last?["Result"] == "Permission denied")
                #expect(alerts.last?["ProcessName"] == Self.victim)
            }
        }

        /// The control: outside of a tree, and in one whose rules are about other sockets, it does what it does.
        @Test(arguments: [false, true]) func itWorksWhereNoRuleIsAboutIt(threads: Bool) throws {
            let (place, agent) = try start("matchProtocols: [{protocol: sctp}, {protocol: icmp}]", options: [])
            for supervised in [false, true] {
                for way in ["sendto", "sendmsg", "sendmmsg"] {
                    let receiver = try place.other.run { try TestSocket(4, SOCK_DGRAM) }
                    try receiver.bind(place.other.ipv4, 5353)
                    let one = Use(socket: ["2", "2", "0"], way: way, hook: "", resource: "")
                    #expect(use(agent, one, threads: threads, supervised: supervised) == "ok\n")
                    #expect(receiver.receive() == Array("packet".utf8), "\(way)")
                    #expect((receiver.receive(20) != nil) == (way == "sendmmsg"))
                }
                let listener = try place.other.run { try TestSocket(4, SOCK_STREAM) }
                try listener.bind(place.other.ipv4, 5353)
                listener.listen()
                let connecting = Use(socket: ["2", "1", "0"], way: "connect", hook: "", resource: "")
                #expect(use(agent, connecting, threads: threads, supervised: supervised) == "ok\n")
                #expect(listener.accept() != nil)
            }
            #expect(agent.alerts().isEmpty)
        }

        /// A service whose sockets systemd has made waits for connections: somebody comes, and is told from where.
        @Test(arguments: ["accept", "accept4"], [false, true]) func aSocketFromOutsideAccepts(
            way: String, threads: Bool
        ) throws {
            let (place, agent) = try start("matchProtocols: [{protocol: sctp}]", options: [])
            let (namespace, host) = (place.other, place.own.ipv4)
            let client = Thread {
                for _ in 0..<100 {
                    guard let socket = try? namespace.run({ try TestSocket(4, SOCK_STREAM) }) else { return }
                    if socket.connects(to: host, 5454) { return }
                    Thread.sleep(forTimeInterval: 0.02)
                }
            }
            client.start()
            let one = Use(socket: ["2", "1", "0"], way: way, hook: "", resource: "")
            let flags = way == "accept4" ? "1 2048" : "0 0"
            #expect(use(agent, one, threads: threads) == "ok from 10.77.0.2 length 16 flags \(flags)\n")
            #expect(agent.alerts().isEmpty)
        }
    }
}
