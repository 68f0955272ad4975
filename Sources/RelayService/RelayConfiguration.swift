import Foundation
import LinuxKernel
import RPCTransport
import Yams

/// Something wrong in the configuration; one line.
package struct RelayConfigurationError: Error, CustomStringConvertible, Sendable {
    package let description: String
}

/// What a relay is told.
package struct RelayConfiguration: Sendable, Equatable {
    /// Where gRPC is offered by TLS.
    package var listen: [String] = []
    /// Unix socket for gRPC; empty for none.
    package var socket = ""
    /// Folder with `ca.crt`, `relay.crt` and `relay.key`.
    package var tlsFolder = "/etc/portcullis/tls"
    /// What outlives the relay.
    package var stateDirectory = "/var/lib/portcullis-relay"
    /// Agents by name and place.
    package var agents: [AgentEndpoint] = []
    /// A file that names agents.
    package var agentFile = ""
    /// Host names each of whose addresses is an agent.
    package var agentHosts: [AgentEndpoint] = []
    /// Names of agents that may connect by themselves and push, `*` at the end standing for any rest; empty for none.
    package var pushAgents: [String] = []
    /// Bytes of memory for the newest records.
    package var memoryBytes = 64 << 20
    /// Milliseconds after which an agent that the relay is too slow for leaves records out; 0 for never.
    package var freshMilliseconds = 250
    /// How much history is kept.
    package var history = History.Limits()
    /// Logs are collected, too, not only alerts and messages.
    package var collectsLogs = true
    /// Logs are kept in the history, too.
    package var keepsLogs = false
    /// Policies may be changed through the relay.
    package var mayChange = false
    /// Web page, metrics and health.
    package var web = WebSettings()
    /// Users by token; `nil` for certificates only.
    package var oidc: TokenConfiguration?

    /// The defaults.
    package init() {}

    private static let limit = 1 << 20

    /// Reads a file.
    package static func read(_ path: String) throws -> RelayConfiguration {
        guard let data = FileManager.default.contents(atPath: path), data.count <= limit else {
            throw RelayConfigurationError(description: "\(path): cannot be read, or is longer than \(limit) bytes")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw RelayConfigurationError(description: "\(path): not valid UTF-8")
        }
        return try parse(text, path)
    }

    /// Reads a text.
    package static func parse(_ text: String, _ path: String) throws -> RelayConfiguration {
        let node: Node?
        do { node = try Yams.compose(yaml: text) } catch {
            throw RelayConfigurationError(description: "\(path): not YAML: \(error)")
        }
        var result = RelayConfiguration()
        guard let node else { return result }
        for (key, value) in try ConfigurationNode(node, path).fields() {
            switch key {
            case "listen": result.listen = try value.places()
            case "socket": result.socket = try value.text()
            case "tlsFolder": result.tlsFolder = try value.text()
            case "stateDirectory": result.stateDirectory = try value.text()
            case "agents": result.agents = try value.list().map { try endpoint($0, isHost: false) }
            case "agentFile": result.agentFile = try value.text()
            case "agentHosts": result.agentHosts = try value.list().map { try endpoint($0, isHost: true) }
            case "pushAgents": result.pushAgents = try value.list().map { try $0.text() }
            case "memoryBytes": result.memoryBytes = try value.integer((1 << 20)...(1 << 36))
            case "freshMilliseconds": result.freshMilliseconds = try value.integer(0...3_600_000)
            case "historyRecords": result.history.records = try value.integer(1000...1_000_000_000)
            case "historyDays": result.history.days = try value.integer(1...3650)
            case "collectLogs": result.collectsLogs = try value.truth()
            case "historyLogs": result.keepsLogs = try value.truth()
            case "mayChange": result.mayChange = try value.truth()
            case "oidc": result.oidc = try TokenConfiguration.parse(value)
            case "web": result.web = try WebSettings.parse(value)
            default: throw value.problem("unknown key '\(key)'")
            }
        }
        return result
    }

    private static func endpoint(_ node: ConfigurationNode, isHost: Bool) throws -> AgentEndpoint {
        var (names, place): ([String], (host: String, port: Int)?) = ([], nil)
        for (key, value) in try node.fields() {
            switch key {
            case "name" where !isHost: names = [try value.text()]
            case "names" where isHost: names = try value.list().map { try $0.text() }
            case "address":
                guard let split = AgentEndpoint.split(try value.text()) else {
                    throw value.problem("address must be HOST:PORT, an IPv6 address in brackets")
                }
                place = split
            default: throw value.problem("unknown key '\(key)'")
            }
        }
        guard let place, !names.isEmpty else {
            throw node.problem(isHost ? "names and address are needed" : "name and address are needed")
        }
        return AgentEndpoint(host: place.host, port: place.port, names: names)
    }
}

/// A value in a configuration, with its place for messages.
struct ConfigurationNode {
    private let node: Node
    private let path: String

    init(_ node: Node, _ path: String) {
        self.node = node
        self.path = path
    }

    func problem(_ text: String) -> RelayConfigurationError {
        RelayConfigurationError(description: "\(path):\(node.mark?.line ?? 1):\(node.mark?.column ?? 1): \(text)")
    }

    func fields() throws -> [(String, ConfigurationNode)] {
        guard case .mapping(let mapping) = node else { throw problem("a mapping is needed") }
        return try mapping.map { key, value in
            guard let name = key.string else { throw problem("a key must be a string") }
            return (name, ConfigurationNode(value, path))
        }
    }

    func list() throws -> [ConfigurationNode] {
        guard case .sequence(let sequence) = node else { throw problem("a list is needed") }
        return sequence.map { ConfigurationNode($0, path) }
    }

    func text() throws -> String {
        guard let text = node.scalar?.string else { throw problem("a text is needed") }
        return text
    }

    func integer(_ range: ClosedRange<Int>) throws -> Int {
        guard let number = node.int, range.contains(number) else {
            throw problem("an integer between \(range.lowerBound) and \(range.upperBound) is needed")
        }
        return number
    }

    func truth() throws -> Bool {
        guard let truth = node.bool else { throw problem("true or false is needed") }
        return truth
    }

    func place() throws -> String {
        let text = try text()
        guard TCPSocket.Place(text) != nil else {
            throw problem("'\(text)' must be ADDRESS:PORT, the address numeric, an IPv6 address in brackets")
        }
        return text
    }

    func places() throws -> [String] { try list().map { try $0.place() } }
}
