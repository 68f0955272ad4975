import Foundation
import HTTPTypes
import Hummingbird
import NIOPosix
import WireProtocol

/// What the page asks for besides the stream: agents, policies and how far they hold, the past.
struct DataRoutes: Sendable {
    let book: AgentBook
    let control: RelayControl
    let history: History
    let threads: NIOThreadPool
    private static let longestSpan = 366 * 86_400

    func add(to routes: RouterGroup<WebContext>) {
        routes.get("agents") { [self] _, _ in try WebJSON.response(book.all.map(WebAgent.init)) }
        routes.get("policies") { [self] _, _ in try WebJSON.response(try await coverage()) }
        routes.get("counts") { [self] request, _ in
            let seconds = try Self.number(request, "seconds", 1...86_400) ?? 60
            let span = try Self.number(request, "span", 60...Self.longestSpan) ?? 3600
            guard span / seconds <= 2000 else { throw HTTPError(.badRequest) }
            var query = try Self.query(request)
            let now = Int(Date().timeIntervalSince1970)
            query.from = UInt64(max(0, now - span)) * 1_000_000_000
            let asked = query
            let buckets = try await threads.runIfActive { [history] in try history.counts(asked, seconds: seconds) }
            return try WebJSON.response(
                WebCounts(
                    from: now - span, to: now, seconds: seconds,
                    buckets: buckets.map { WebCounts.Bucket(begin: $0.begin, count: $0.count, blocked: $0.blocked) }))
        }
        routes.get("history") { [self] request, _ in
            var query = try Self.query(request)
            query.limit = try Self.number(request, "limit", 1...1000) ?? 100
            query.before = UInt64(try Self.number(request, "before", 0...Int.max) ?? 0)
            let asked = query
            let records = try await threads.runIfActive { [history] in try history.records(asked) }
            return try WebJSON.response(
                try records.map { WebRecord(id: $0.id, alert: WebAlert(try Feeder_Alert(serializedBytes: $0.payload))) }
            )
        }
    }

    private static func query(_ request: Request) throws -> History.Query {
        var query = History.Query()
        for column in History.Column.allCases {
            guard let text = request.uri.queryParameters.get(column.rawValue) else { continue }
            guard text.utf8.count <= 1024 else { throw HTTPError(.badRequest) }
            query.texts[column] = text
        }
        return query
    }

    private static func number(_ request: Request, _ name: String, _ range: ClosedRange<Int>) throws -> Int? {
        guard let text = request.uri.queryParameters.get(name) else { return nil }
        guard let number = Int(text), range.contains(number) else { throw HTTPError(.badRequest) }
        return number
    }

    private func coverage() async throws -> [WebNode] {
        var (policies, states): ([Portcullis_V1_NodePolicies], [Portcullis_V1_NodeStatus]) = ([], [])
        await control.policies([]) { policies.append($0) }
        await control.statuses([]) { states.append($0) }
        return policies.map { node in
            let status = states.first { $0.agent == node.agent }.flatMap {
                try? JSONDecoder().decode(WebStatus.self, from: $0.status)
            }
            return WebNode(node, status)
        }.sorted { $0.name < $1.name }
    }
}

struct WebAgent: Encodable {
    let name, address, problem: String
    let connected: Bool
    let since: Int
    let received, missed, repeated, malformed: UInt64

    init(_ entry: AgentBook.Entry) {
        (name, address, problem, connected) = (entry.name, entry.address, entry.problem, entry.isConnected)
        since = Int(entry.since.timeIntervalSince1970)
        (received, missed) = (entry.received, entry.missed)
        (repeated, malformed) = (entry.repeated, entry.malformed)
    }
}

struct WebCounts: Encodable {
    struct Bucket: Encodable {
        let begin: Int64
        let count, blocked: Int
    }
    let from, to, seconds: Int
    let buckets: [Bucket]
}

struct WebRecord: Encodable {
    let id: UInt64
    let alert: WebAlert
}

/// Of an agent's status what the page shows.
struct WebStatus: Decodable {
    struct Rule: Decodable {
        let policy: String
        let enforcedBy: [String]
        let gaps: [String]
    }
    let version: String
    let generation: UInt64
    let rules: [Rule]
    let gaps: [String]
}

/// A node, its policies, and how far each holds there.
struct WebNode: Encodable {
    struct Policy: Encodable {
        let kind, namespace, name, action, origin: String
        let rules: UInt32
        let selected: Bool
        /// Rules that something enforces, of those that are in force; what those are not held against.
        let enforced, known: Int
        let gaps: [String]
    }
    let name, problem, version: String
    let generation: UInt64
    let gaps: [String]
    let policies: [Policy]

    init(_ node: Portcullis_V1_NodePolicies, _ status: WebStatus?) {
        (name, problem) = (node.agent, node.problem)
        (version, generation, gaps) = (
            status?.version ?? "", status?.generation ?? 0, Array((status?.gaps ?? []).prefix(20))
        )
        policies = node.policies.map { policy in
            let rules = (status?.rules ?? []).filter { $0.policy == policy.name }
            return Policy(
                kind: policy.kind, namespace: policy.namespace, name: policy.name, action: policy.action,
                origin: policy.origin, rules: policy.rules, selected: policy.selected,
                enforced: rules.count { !$0.enforcedBy.isEmpty }, known: rules.count,
                gaps: Array(Set(rules.flatMap(\.gaps)).sorted().prefix(10)))
        }
    }
}
