import Foundation
import RPCTransport
import Testing

@testable import RelayService

@Suite(.timeLimit(.minutes(10))) struct StateRouteTests {
    @Test func healthIsForEverybodyAndMetricsForThoseWhoMayRead() async throws {
        let folder = try TestFolder()
        let agent = try TestAgent("node1", folder.texts(.agent, "node1"), folder: folder.path)
        let relay = try TestRelay(folder) {
            $0.agents = [AgentEndpoint(host: "127.0.0.1", port: agent.port, names: ["node1"])]
            $0.web.listen = "127.0.0.1:0"
        }
        agent.alert((1...7).map { "/\($0)" })
        _ = try await relay.alerts(7)
        let port = try await relay.webPort()
        _ = try (folder.texts(.cli, "ann"), folder.texts(.vm, "v1"))
        let (nobody, cli, vm) = (
            WebClient(port: port, folder: folder), WebClient(port: port, folder: folder, certificate: "cli-ann"),
            WebClient(port: port, folder: folder, certificate: "vm-v1")
        )
        #expect(try await nobody.ask("/healthz").body == "ok\n")
        #expect(try await nobody.ask("/readyz").status == 200)
        #expect(try await nobody.ask("/metrics").status == 401)
        #expect(try await vm.ask("/healthz").status == 0, "a role that has no business here")
        #expect(try await nobody.ask("/healthz", scheme: "http").status == 0)
        #expect(try await nobody.ask("/healthz", ["--tls-max", "1.2"]).status == 0)
        let answer = try await cli.ask("/metrics")
        #expect(answer.status == 200 && answer.field("content-type")?.hasPrefix("text/plain; version=0.0.4") == true)
        let lines = answer.body.split(separator: "\n")
        for line in [
            "portcullis_relay_agents 1", "portcullis_relay_agents_connected 1", "portcullis_relay_records_total 7",
            "portcullis_relay_agent_received_total{agent=\"node1\",address=\"127.0.0.1:\(agent.port)\"} 7",
            "portcullis_relay_peer_rejected_total 0",
        ] { #expect(lines.contains { $0 == line }, "\(line) in \(answer.body)") }
        for (name, value) in [
            ("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("cache-control", "no-store"),
        ] { #expect(answer.field(name) == value) }
        #expect(
            try await nobody.ask("/none").field("content-security-policy")?.contains("frame-ancestors 'none'") == true)
        await relay.stop()
    }
}
