import Foundation
import Testing

extension KernelSuite {
    /// B23 on sockets: another thread changes what is sent, or what it is sent through, while the supervisor looks.
    @Suite("B23")
    struct B23NetworkRaceTests {
        private static let victim = AgentUnderTest.binaries + "/portcullis-victim"

        private func start(_ network: String) throws -> (TestNetwork, AgentUnderTest) {
            let place = try TestNetwork()
            return (
                place,
                try AgentUnderTest(
                    place, policies: ["p.yaml": AgentUnderTest.policy(network: network)],
                    options: ["--no-packet-filter"])
            )
        }

        /// The numbers that a victim printed, by the words before them.
        private func counts(_ result: Shell.Result) throws -> [String: Int] {
            let words = result.output.split(whereSeparator: \.isWhitespace).map(String.init)
            try #require(words.count >= 4 && words.count % 2 == 0, "\(result)")
            return Dictionary(
                uniqueKeysWithValues: stride(from: 0, to: words.count, by: 2).map {
                    (words[$0], Int(words[$0 + 1]) ?? -1)
                })
        }

        /// `dup2` of a socket from outside over one of AF_UNIX.
        @Test func aDescriptorThatChangesMeanwhileSendsNothing() throws {
            let (place, agent) = try start("matchProtocols: [{protocol: udp}]")
            let receiver = try place.other.run { try TestSocket(4, SOCK_DGRAM) }
            try receiver.bind(place.other.ipv4, 5353)
            func race(_ verb: String, _ rounds: Int, _ tree: [String] = []) throws -> [String: Int] {
                try counts(
                    agent.run(
                        ["timeout", "120", Self.victim, "with-socket", "2", "2", "0", "9", "-"] + tree + [
                            Self.victim, verb, "9", "10.77.0.2:5353", "\(rounds)",
                        ]))
            }
            // The same attacker beats a supervisor that looks at the descriptor and lets go on.
            let control = try race("race-socket-control", 1_000_000)
            #expect(control["sent"] ?? 0 > 0, "\(control)")
            while receiver.receive(50) != nil {}
            let tree = [AgentUnderTest.binaries + "/portcullis", "run", "--socket", agent.socket, "--"]
            let race = try race("race-socket", 20_000, tree)
            #expect(race["sent"] == 0, "\(race)")
            #expect(!receiver.isReadable(50))
            // Both were met: the one that is refused, and the other, which knows no such address.
            #expect(race["refused"] ?? 0 > 0 && race["other"] ?? 0 > 0, "\(race)")
            try RaceFigures(
                name: "socket", rounds: 20_000, won: race["sent"] ?? -1, controlRounds: 1_000_000,
                controlWon: control["sent"] ?? 0
            ).record()
        }

        @Test func aQueryThatChangesMeanwhileIsNotAsked() throws {
            let (place, agent) = try start("matchDNSQueries: [{domain: google.com}]")
            let resolver = try Resolver(at: place.other)
            let names = ["10.77.0.2:53", "www.goggle.com", "www.google.com"]
            var (controlRounds, controlWon) = (0, 0)
            // The busier the machine is the more rounds it takes.
            while controlWon == 0, controlRounds < 400_000 {
                _ = try counts(agent.run(["timeout", "120", Self.victim, "race-query-control"] + names + ["20000"]))
                controlRounds += 20_000
                controlWon = resolver.takeNames().count { $0.hasSuffix("google.com") }
            }
            #expect(controlWon > 0)
            let race = try counts(
                agent.tool(["run", "--", "timeout", "120", Self.victim, "race-query"] + names + ["20000"]))
            #expect(race["sent"] ?? 0 > 0 && race["refused"] ?? 0 > 0, "\(race)")
            let won = resolver.takeNames().count { $0.hasSuffix("google.com") }
            #expect(won == 0)
            #expect(agent.alerts(atLeast: 1).allSatisfy { $0["Resource"] == "google.com" })
            try RaceFigures(
                name: "query", rounds: 20_000, won: won, controlRounds: controlRounds, controlWon: controlWon
            ).record()
        }
    }
}
