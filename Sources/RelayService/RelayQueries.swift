import EventSpool
import Foundation
import GRPCCore
import NIOPosix
import RPCServices
import WireProtocol

/// `portcullis.v1.Relay`: the agents, and what they told in the past.
struct RelayQueries: Portcullis_V1_Relay.SimpleServiceProtocol {
    let book: AgentBook
    let history: History
    /// SQLite waits for the disk; the threads of the event loops do not.
    let threads: NIOThreadPool

    func listAgents(
        request: Portcullis_V1_AgentsRequest, response: RPCWriter<Portcullis_V1_AgentState>, context: ServerContext
    ) async throws {
        try await response.write(
            contentsOf: book.all.map { entry in
                .with {
                    $0.name = entry.name
                    $0.address = entry.address
                    $0.connected = entry.isConnected
                    $0.problem = entry.problem
                    $0.since = Int64(entry.since.timeIntervalSince1970)
                    $0.received = entry.received
                    $0.missed = entry.missed
                }
            })
    }

    func queryHistory(
        request: Portcullis_V1_HistoryRequest, response: RPCWriter<Portcullis_V1_HistoryRecord>, context: ServerContext
    ) async throws {
        let query = Self.query(request)
        let records = try await ask { try $0.records(query) }
        for start in stride(from: 0, to: records.count, by: 256) {
            try await response.write(
                contentsOf: records[start..<min(start + 256, records.count)].map { record in
                    .with {
                        $0.id = record.id
                        $0.kind = record.kind.onTheWire
                        $0.payload = Data(record.payload)
                    }
                })
        }
    }

    func countHistory(
        request: Portcullis_V1_CountRequest, context: ServerContext
    ) async throws -> Portcullis_V1_CountResponse {
        let query = Self.query(request.filter)
        let buckets = try await ask { try $0.counts(query, seconds: Int(request.bucketSeconds)) }
        return .with {
            $0.buckets = buckets.map { bucket in
                .with {
                    $0.begin = bucket.begin
                    $0.count = UInt64(clamping: bucket.count)
                    $0.blocked = UInt64(clamping: bucket.blocked)
                }
            }
        }
    }

    private func ask<Result: Sendable>(
        _ body: @escaping @Sendable (History) throws -> Result
    ) async throws -> Result {
        do { return try await threads.runIfActive { [history] in try body(history) } } catch {
            throw RPCError(code: .unavailable, message: "the history cannot be read: \(error)")
        }
    }

    private static func query(_ request: Portcullis_V1_HistoryRequest) -> History.Query {
        var query = History.Query()
        (query.from, query.to, query.before) = (request.from, request.to, request.before)
        query.texts = [
            .agent: request.agent, .policy: request.policy, .namespace: request.namespace, .workload: request.workload,
            .operation: request.operation, .action: request.action,
        ]
        if request.limit > 0 { query.limit = Int(request.limit) }
        return query
    }
}
