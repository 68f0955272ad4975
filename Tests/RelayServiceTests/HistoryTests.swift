import EventSpool
import Foundation
import RPCServices
import Testing
import WireProtocol

@testable import RelayService

@Suite struct HistoryTests {
    private final class Folder {
        let path = "/tmp/portcullis-history-\(UUID().uuidString.prefix(8))"
        init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(atPath: path) }
        func history(_ limits: History.Limits = History.Limits()) throws -> History {
            try History(path: path + "/h.sqlite", limits: limits)
        }
    }

    private func row(
        _ time: UInt64, agent: String = "node1", policy: String = "p", container: String = "", action: String = "Block"
    ) throws -> HistoryRow {
        let bytes: [UInt8] = try Feeder_Alert.with {
            ($0.policyName, $0.containerName, $0.action, $0.operation) = (policy, container, action, "File")
            ($0.agent, $0.agentSequence, $0.namespaceName) = (agent, time, container.isEmpty ? "" : "ns")
        }.serializedBytes()
        return bytes.withUnsafeBytes {
            HistoryRow(RecordView(spool: 1, kind: .alert, sequence: time, missed: 0, time: time, payload: $0))
        }
    }

    @Test func recordsAreFoundByWhatTheySay() throws {
        let folder = try Folder()
        let history = try folder.history()
        let second: UInt64 = 1_000_000_000
        try history.add(
            [
                row(1 * second), row(2 * second, agent: "node2"), row(3 * second, policy: "q", action: "Audit"),
                row(4 * second, container: "web"), row(5 * second, policy: "'; DROP TABLE record; --"),
            ], positions: [:])
        func find(_ change: (inout History.Query) -> Void) throws -> [UInt64] {
            var query = History.Query()
            change(&query)
            return try history.records(query).map { $0.time / second }
        }
        #expect(try find { _ in } == [5, 4, 3, 2, 1])
        #expect(try find { $0.texts = [.agent: "node2"] } == [2])
        #expect(try find { $0.texts = [.policy: "q"] } == [3])
        #expect(try find { $0.texts = [.workload: "web", .namespace: "ns"] } == [4])
        #expect(try find { $0.texts = [.action: "Block", .agent: "node1"] } == [5, 4, 1])
        #expect(try find { $0.texts = [.policy: "'; DROP TABLE record; --"] } == [5])
        #expect(try find { $0.texts = [.policy: "x' OR '1'='1"] } == [])
        #expect(try find { ($0.from, $0.to) = (2 * second, 4 * second) } == [3, 2])
        #expect(try find { $0.limit = 2 } == [5, 4])
        #expect(try find { $0.before = 3 } == [2, 1])
        let counts = try history.counts(History.Query(), seconds: 2)
        #expect(
            counts.map(\.begin) == [0, 2, 4] && counts.map(\.count) == [1, 2, 2] && counts.map(\.blocked) == [1, 1, 2])
        let alert = try Feeder_Alert(serializedBytes: history.records(History.Query())[1].payload)
        #expect(alert.containerName == "web")
    }

    @Test func theOldestGo() throws {
        let folder = try Folder()
        let history = try folder.history(History.Limits(records: 100, days: 1))
        let now = Date(timeIntervalSince1970: 1_000_000)
        let nanoseconds = UInt64(now.timeIntervalSince1970) * 1_000_000_000
        try history.add((1...500).map { try row(nanoseconds + UInt64($0)) }, positions: [:])
        while try history.trim(now: now) {}
        var query = History.Query()
        query.limit = 1000
        #expect(try history.records(query).map(\.time).min() == nanoseconds + 401)
        while try history.trim(now: now.addingTimeInterval(2 * 86_400)) {}
        #expect(try history.records(query).isEmpty)
    }

    @Test func positionsOutliveTheRelay() throws {
        let folder = try Folder()
        var next = SpoolNumbers()
        (next[.alert], next[.log]) = (UInt64.max - 1, 7)
        let position = AgentBook.Position(spool: "00ff", next: next)
        try folder.history().add([], positions: ["node1": position])
        #expect(try folder.history().positions() == ["node1": position])
    }
}
