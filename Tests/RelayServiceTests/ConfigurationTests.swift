import Foundation
import Testing

@testable import RelayService

@Suite struct ConfigurationTests {
    @Test func everyKeyIsRead() throws {
        let text = """
            listen: ["127.0.0.1:32768", "[::1]:1"]
            socket: /run/relay.sock
            tlsFolder: /tls
            stateDirectory: /state
            agents:
              - {name: node1, address: "192.0.2.1:32767"}
              - {name: node2, address: "[2001:db8::1]:32767"}
            agentFile: /agents
            agentHosts: [{names: ["node*", other], address: "agents.example:32767"}]
            memoryBytes: 1048576
            historyRecords: 5000
            historyDays: 2
            collectLogs: false
            historyLogs: true
            mayChange: true
            freshMilliseconds: 0
            pushAgents: ["vm-*"]
            web: {listen: "127.0.0.1:8443"}
            """
        let configuration = try RelayConfiguration.parse(text, "c.yaml")
        #expect(configuration.listen.count == 2 && configuration.socket == "/run/relay.sock")
        #expect(configuration.agents[1] == AgentEndpoint(host: "2001:db8::1", port: 32767, names: ["node2"]))
        #expect(configuration.agentHosts[0].names == ["node*", "other"])
        #expect(configuration.agentHosts[0].accepts("node7") && !configuration.agentHosts[0].accepts("xnode"))
        #expect(!configuration.agents[0].accepts("node11"))
        #expect(configuration.history == History.Limits(records: 5000, days: 2))
        #expect(configuration.freshMilliseconds == 0 && configuration.pushAgents == ["vm-*"])
        #expect(configuration.web.listen == "127.0.0.1:8443")
        #expect(!configuration.collectsLogs && configuration.keepsLogs && configuration.mayChange)
    }

    @Test(arguments: [
        ("web: {listen: [\"127.0.0.1:1\"]}", "c.yaml:1:15"), ("web: {listen: x}", "c.yaml:1:15"),
        ("listen: [\"0.0.0.0\"]", "c.yaml:1:10"), ("listn: []", "c.yaml:1:8"), ("agents: [{name: x}]", "c.yaml:1:10"),
        ("agents: [{name: x, address: y}]", "c.yaml:1:29"), ("memoryBytes: 5", "c.yaml:1:14"), ("- a", "c.yaml:1:1"),
        ("a: [", "not YAML"), ("agents: [{name: x, address: \"h:0\"}]", "c.yaml:1:29"),
    ])
    func mistakesAreToldWithTheirPlace(text: String, place: String) {
        let error = #expect(throws: RelayConfigurationError.self) { try RelayConfiguration.parse(text, "c.yaml") }
        #expect(error?.description.contains(place) == true, "\(error?.description ?? "")")
    }

    @Test func anAgentFileIsALineAnAgent() throws {
        let agents = try FileDiscovery.parse("# ours\nnode1 192.0.2.1:1\n\n  node2\t[::1]:2 # here\n", "f")
        #expect(agents.map(\.names) == [["node1"], ["node2"]] && agents.map(\.port) == [1, 2])
        for text in ["node1", "node1 host", "node1 host:0", "a b:1 c"] {
            #expect(throws: DiscoveryProblem.self) { try FileDiscovery.parse(text, "f") }
        }
    }

    @Test func namesAreResolved() throws {
        #expect(try DNSDiscovery.resolve("localhost").contains { $0 == "127.0.0.1" || $0 == "::1" })
        #expect(throws: DiscoveryProblem.self) { try DNSDiscovery.resolve("no-such-host.invalid") }
    }
}
