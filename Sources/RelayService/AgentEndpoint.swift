import Foundation
import Glibc
import NIOPosix

/// Where an agent is, and who has to be there.
package struct AgentEndpoint: Sendable, Hashable {
    /// Host name or address.
    package var host: String
    /// Its port.
    package var port: Int
    /// Names that its certificate may have: one of these, `*` at the end standing for any rest.
    package var names: [String]

    /// Creates an endpoint.
    package init(host: String, port: Int, names: [String]) {
        self.host = host
        self.port = port
        self.names = names
    }

    /// For people.
    package var address: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Whether an agent of this name may be there.
    func accepts(_ name: String) -> Bool {
        names.contains { pattern in
            pattern.hasSuffix("*") ? name.hasPrefix(pattern.dropLast()) : name == pattern
        }
    }

    /// Reads `HOST:PORT`; `nil` for anything else.
    static func split(_ text: String) -> (host: String, port: Int)? {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        return host.isEmpty ? nil : (String(host), Int(port))
    }
}

/// Finds agents. Kubernetes will be another of these.
package protocol AgentDiscovery: Sendable {
    /// For the log.
    var name: String { get }

    /// Publishes all agents it knows, now and whenever they change, until cancelled. An error is reported, and it is run again.
    func run(_ publish: @Sendable ([AgentEndpoint]) async -> Void) async throws
}

/// Agents that the configuration names.
package struct StaticDiscovery: AgentDiscovery {
    package let name = "configuration"
    private let agents: [AgentEndpoint]

    /// Knows these.
    package init(_ agents: [AgentEndpoint]) { self.agents = agents }

    package func run(_ publish: @Sendable ([AgentEndpoint]) async -> Void) async throws {
        await publish(agents)
        try await Task.sleep(for: .seconds(Int64.max / 4))
    }
}

/// Agents that a file names, one a line: `NAME HOST:PORT`. It is read again when it changes.
package struct FileDiscovery: AgentDiscovery {
    private let path: String
    private let interval: Duration
    private static let limit = 4 << 20
    package var name: String { path }

    /// Reads a file.
    package init(path: String, interval: Duration = .seconds(2)) {
        self.path = path
        self.interval = interval
    }

    package func run(_ publish: @Sendable ([AgentEndpoint]) async -> Void) async throws {
        var last: Data?
        while true {
            guard let data = FileManager.default.contents(atPath: path), data.count <= Self.limit else {
                throw DiscoveryProblem(description: "\(path): cannot be read")
            }
            if data != last {
                await publish(try Self.parse(String(decoding: data, as: UTF8.self), path))
                last = data
            }
            try await Task.sleep(for: interval)
        }
    }

    /// The agents of a text.
    static func parse(_ text: String, _ path: String) throws -> [AgentEndpoint] {
        var agents: [AgentEndpoint] = []
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace).map(String.init)
            if words.isEmpty { continue }
            guard words.count == 2, let (host, port) = AgentEndpoint.split(words[1]) else {
                throw DiscoveryProblem(description: "\(path):\(number + 1):1: a line must be NAME HOST:PORT")
            }
            agents.append(AgentEndpoint(host: host, port: port, names: [words[0]]))
        }
        return agents
    }
}

/// Every address that a host name has.
package struct DNSDiscovery: AgentDiscovery {
    private let host: String
    private let port: Int
    private let names: [String]
    private let interval: Duration
    package var name: String { "DNS \(host)" }

    /// Asks for a name, again and again.
    package init(host: String, port: Int, names: [String], interval: Duration = .seconds(30)) {
        self.host = host
        self.port = port
        self.names = names
        self.interval = interval
    }

    package func run(_ publish: @Sendable ([AgentEndpoint]) async -> Void) async throws {
        while true {
            let addresses = try await NIOThreadPool.singleton.runIfActive { [host] in try Self.resolve(host) }
            await publish(addresses.map { AgentEndpoint(host: $0, port: port, names: names) })
            try await Task.sleep(for: interval)
        }
    }

    /// The addresses of a host, sorted.
    static func resolve(_ host: String) throws -> [String] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &list)
        guard code == 0 else { throw DiscoveryProblem(description: "\(host): \(String(cString: gai_strerror(code)))") }
        defer { freeaddrinfo(list) }
        var addresses: Set<String> = []
        var next = list
        while let entry = next?.pointee {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            if getnameinfo(
                entry.ai_addr, entry.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
            {
                addresses.insert(String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
            }
            next = entry.ai_next
        }
        return addresses.sorted()
    }
}

/// Why agents cannot be found.
package struct DiscoveryProblem: Error, CustomStringConvertible, Sendable {
    package let description: String
}
