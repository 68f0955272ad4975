import EventSpool
import Foundation
import GRPCCore
import RPCTransport
import Testing
import WireProtocol

@testable import RelayService

@Suite(.serialized, .timeLimit(.minutes(10))) struct RelayTests {
    private func endpoint(_ agent: TestAgent, _ names: [String]? = nil) -> AgentEndpoint {
        AgentEndpoint(host: "127.0.0.1", port: agent.port, names: names ?? [agent.name])
    }

    @Test func alertsOfAllAgentsReachAClient() async throws {
        let folder = try TestFolder()
        let agents = try ["node1", "node2", "node3"].map {
            try TestAgent($0, folder.texts(.agent, $0), folder: folder.path)
        }
        agents[0].alert(["/before"])
        let relay = try TestRelay(folder) { $0.agents = agents.map { endpoint($0) } }
        for agent in agents { agent.alert((1...100).map { "/\(agent.name)/\($0)" }) }
        let alerts = try await relay.alerts(301)
        #expect(alerts.count == 301, "what was there before the relay came is not lost")
        for agent in agents {
            let own = alerts.filter { $0.agent == agent.name && $0.resource != "/before" }
            #expect(own.map(\.resource) == (1...100).map { "/\(agent.name)/\($0)" })
            #expect(Set(own.map(\.agentSequence)).count == 100)
        }
        #expect(try await relay.alerts(100, agents: ["node2"]).allSatisfy { $0.agent == "node2" })
        #expect(try await relay.alerts(1, filter: ["Resource": "/NODE3/77"]).map(\.resource) == ["/node3/77"])
        await relay.stop()
    }

    /// Connections break, agents and the relay restart: everything arrives, and once.
    @Test("threat/T08 nothing is lost when connections break") func nothingIsLostWhenConnectionsBreak() async throws {
        let folder = try TestFolder()
        let agent = try TestAgent("node1", folder.texts(.agent, "node1"), folder: folder.path)
        let first = try TestRelay(folder) { $0.agents = [endpoint(agent)] }
        agent.alert((1...100).map { "/\($0)" })
        #expect(try await first.alerts(100).count == 100)
        agent.stop()
        agent.alert((101...200).map { "/\($0)" })
        try await first.wait { $0.first?.isConnected == false }
        try await agent.restart()
        let all = try await first.alerts(200)
        #expect(all.map(\.resource) == (1...200).map { "/\($0)" })
        #expect(first.relay.book.all.first?.missed == 0)
        // The history is what tells a new relay where to go on.
        let end = ContinuousClock.now + .seconds(60)
        while try first.relay.history.records(History.Query()).count < 200, ContinuousClock.now < end {
            try await Task.sleep(for: .milliseconds(20))
        }
        await first.stop()
        agent.alert((201...250).map { "/\($0)" })
        let second = try TestRelay(folder) { $0.agents = [endpoint(agent)] }
        #expect(try await second.alerts(50).map(\.resource) == (201...250).map { "/\($0)" })
        let late = ContinuousClock.now + .seconds(60)
        while try second.relay.history.records(History.Query()).count < 250, ContinuousClock.now < late {
            try await Task.sleep(for: .milliseconds(20))
        }
        var query = History.Query()
        query.limit = 1000
        let kept = try second.relay.history.records(query).reversed().map {
            try Feeder_Alert(serializedBytes: $0.payload).resource
        }
        #expect(kept == (1...250).map { "/\($0)" })
        await second.stop()
    }

    /// Agents are faster than a relay that keeps little: what is left out on any of the ways is told to clients, to the record.
    @Test func whatIsLeftOutIsTold() async throws {
        let folder = try TestFolder()
        let agents = try ["node1", "node2"].map { try TestAgent($0, folder.texts(.agent, $0), folder: folder.path) }
        let relay = try TestRelay(folder) {
            $0.agents = agents.map { endpoint($0) }
            $0.memoryBytes = 1 << 20
            $0.freshMilliseconds = 1
        }
        for agent in agents { agent.alert(["/first"]) }
        _ = try await relay.alerts(2)
        let total = 20_000
        let counts = try await relay.withClient { client in
            let request = Portcullis_V1_StreamRequest.with { $0.kinds = [.alert] }
            return try await Portcullis_V1_Telemetry.Client(wrapping: client).stream(request) { response in
                for _ in 0..<10 { for agent in agents { agent.alert((1...(total / 20)).map { "/\($0)" }) } }
                var (received, missed) = (0, 0)
                for try await batch in response.messages {
                    for record in batch.records {
                        missed += Int(record.missed)
                        if !record.payload.isEmpty { received += 1 }
                    }
                    if received + missed >= total { break }
                }
                return (received, missed)
            }
        }
        #expect(counts.0 + counts.1 == total, "\(counts.0) received, \(counts.1) missed")
        // Booked a moment after it is passed on.
        try await relay.wait { $0.reduce(0) { $0 + $1.received + $1.missed } == UInt64(total) + 2 }
        #expect(relay.relay.log.newestSequence(.alert) == UInt64(total) + 2)
        await relay.stop()
    }

    /// Whoever is at an agent's place and is not that agent is left, and nothing of it is passed on.
    @Test("threat/T02 only the agent that is expected is read") func onlyTheAgentThatIsExpectedIsRead() async throws {
        let folder = try TestFolder()
        let real = try TestAgent("node1", folder.texts(.agent, "node1"), folder: folder.path)
        let rogue = try TestAgent("node2", folder.texts(.agent, "rogue"), folder: folder.path)
        let double = try TestAgent("node1", folder.texts(.agent, "node1"), folder: folder.path)
        let wrongRole = try TestAgent("node4", folder.texts(.relay, "node4"), folder: folder.path)
        for agent in [rogue, double, wrongRole] { agent.alert(["/rogue"]) }
        let relay = try TestRelay(folder) {
            $0.agents = [endpoint(real), endpoint(rogue), endpoint(wrongRole)]
        }
        real.alert(["/real"])
        try await relay.wait { $0.filter(\.isConnected).count == 1 && $0.filter { !$0.isConnected }.count == 2 }
        let end = ContinuousClock.now + .seconds(60)
        while relay.relay.book.rejected < 2, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(20)) }
        #expect(relay.relay.book.rejected >= 2)
        #expect(try await relay.alerts(1).map(\.resource) == ["/real"])
        #expect(relay.relay.log.appended == 1)
        await relay.stop()

        let second = try TestRelay(folder) { $0.agents = [endpoint(real), endpoint(double)] }
        try await second.wait { $0.contains(where: \.isConnected) }
        let later = ContinuousClock.now + .seconds(60)
        while second.relay.book.rejected < 1, ContinuousClock.now < later {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(second.relay.book.all.filter(\.isConnected).count == 1, "two of one name are one too many")
        await second.stop()
    }

    /// An agent that was taken over cannot silence the others by records that no client can read.
    @Test func brokenRecordsStopAtTheRelay() async throws {
        let folder = try TestFolder()
        let agents = try ["node1", "node2"].map { try TestAgent($0, folder.texts(.agent, $0), folder: folder.path) }
        let relay = try TestRelay(folder) { $0.agents = agents.map { endpoint($0) } }
        agents[0].write(raw: [0xff, 0xff, 0xff])
        agents[0].write(raw: try Feeder_Alert.with { $0.agent = "node2" }.serializedBytes())
        agents[0].write(raw: [20 << 3 | 2 & 7, 1, 0xff])
        agents[0].alert(["/sound"])
        agents[1].alert(["/other"])
        let alerts = try await relay.alerts(2)
        #expect(Set(alerts.map(\.resource)) == ["/sound", "/other"])
        #expect(Set(alerts.map(\.agent)) == ["node1", "node2"])
        try await relay.wait { $0.contains { $0.malformed == 3 } }
        await relay.stop()
    }

    @Test func agentsComeAndGoByAFile() async throws {
        let folder = try TestFolder()
        let agents = try ["node1", "node2"].map { try TestAgent($0, folder.texts(.agent, $0), folder: folder.path) }
        let file = folder.path + "/agents"
        try "node1 127.0.0.1:\(agents[0].port)\n".write(toFile: file, atomically: true, encoding: .utf8)
        let relay = try TestRelay(folder) { $0.agentFile = file }
        try await relay.wait { $0.map(\.name) == ["node1"] && $0[0].isConnected }
        try "node2 127.0.0.1:\(agents[1].port)\n".write(toFile: file, atomically: true, encoding: .utf8)
        try await relay.wait { $0.map(\.name) == ["node2"] && $0[0].isConnected }
        // A file with a mistake takes nobody away.
        try "node2\n".write(toFile: file, atomically: true, encoding: .utf8)
        try await Task.sleep(for: .seconds(3))
        #expect(relay.relay.book.all.map(\.name) == ["node2"])
        await relay.stop()
    }

    @Test("threat/T26 a relay asks in its own name, and only what it may") func questionsGoToTheAgentsThatAreMeant()
        async throws
    {
        let folder = try TestFolder()
        let agents = try ["node1", "node2"].map { try TestAgent($0, folder.texts(.agent, $0), folder: folder.path) }
        let relay = try TestRelay(folder) { $0.agents = agents.map { endpoint($0) } }
        try await relay.wait { $0.filter(\.isConnected).count == 2 }
        let ask: @Sendable ([String]) async throws -> [Portcullis_V1_NodePolicies] = { names in
            try await relay.withClient { client in
                try await Portcullis_V1_Control.Client(wrapping: client).getPolicies(.with { $0.agents = names }) {
                    try await $0.messages.reduce(into: []) { $0.append($1) }
                }
            }
        }
        let all = try await ask([]).sorted { $0.agent < $1.agent }
        #expect(all.map(\.agent) == ["node1", "node2"], "by their certificates")
        #expect(all.map { $0.policies.first?.name } == ["policy-of-node1", "policy-of-node2"])
        let some = try await ask(["node2", "node9"])
        #expect(some.contains { $0.agent == "node2" && $0.problem.isEmpty })
        #expect(some.contains { $0.agent == "node9" && $0.problem == "not connected" })
        // A relay that may not change anything does not ask others to.
        let error = await #expect(throws: RPCError.self) {
            try await relay.withClient { client in
                try await Portcullis_V1_Control.Client(wrapping: client).applyPolicies(.init()) {
                    for try await _ in $0.messages {}
                }
            }
        }
        #expect(error?.code == .permissionDenied)
        await relay.stop()
    }
}
