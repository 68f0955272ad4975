import EventSpool
import Foundation
import RPCServices
import Synchronization
import Testing
import WireProtocol

@testable import RelayService

@Suite(.timeLimit(.minutes(10))) struct FanOutTests {
    private func append(
        _ log: FanOutLog, _ texts: [String], _ kind: SpoolKind = .alert, time: UInt64 = SpoolWriter.realTime()
    ) {
        for text in texts {
            let bytes = Array(text.utf8)
            bytes.withUnsafeBytes { raw in
                log.append([FanOutLog.Arrival(kind: kind, payload: raw, rest: Array("!".utf8))], time: time)
            }
        }
    }

    /// Reads until `count` records or losses were seen.
    private func read(_ cursor: any RecordCursor, until count: Int) async throws -> [(
        sequence: UInt64, missed: UInt64, text: String
    )] {
        var got: [(sequence: UInt64, missed: UInt64, text: String)] = []
        var seen = 0
        while seen < count {
            try await cursor.next { record in
                got.append((record.sequence, record.missed, String(decoding: record.payload, as: UTF8.self)))
                seen += 1 + Int(record.missed)
            }
        }
        return got
    }

    @Test func everyCursorHasEverythingInOrder() async throws {
        let log = FanOutLog(limit: 8 << 20)
        let cursors = try (0..<3).map { _ in try log.open(RecordRequest(starts: [.alert: .now])) }
        append(log, (1...5000).map { "record \($0)" })
        append(log, ["not asked for"], .log)
        for cursor in cursors {
            let got = try await read(cursor, until: 5000)
            #expect(got.map(\.sequence) == Array(1...5000))
            #expect(got.allSatisfy { $0.missed == 0 && $0.text == "record \($0.sequence)!" })
        }
    }

    @Test func aCursorBeginsWhereItAsks() async throws {
        let log = FanOutLog(limit: 8 << 20)
        append(log, (1...100).map { "\($0)" })
        let resumed = try log.open(RecordRequest(starts: [.alert: .after(90)], spool: log.spool))
        #expect(try await read(resumed, until: 10).map(\.sequence) == Array(91...100))
        let other = try log.open(RecordRequest(starts: [.alert: .after(90)], spool: log.spool &+ 1))
        #expect(try await read(other, until: 100).count == 100)
        let now = try log.open(RecordRequest(starts: [.alert: .now]))
        append(log, ["new"])
        #expect(try await read(now, until: 1).map(\.text) == ["new!"])
    }

    /// Memory is bounded whatever clients do, and what a slow one lost is told to the record.
    @Test func aSlowCursorIsToldWhatIsGone() async throws {
        let log = FanOutLog(limit: 1 << 20)
        let slow = try log.open(RecordRequest(starts: [.alert: .after(0)]))
        let total = 20_000
        for number in 1...total { append(log, ["\(number) " + String(repeating: "x", count: 300)]) }
        #expect(log.bytes <= (1 << 20) + FanOutBlock.capacity)
        let got = try await read(slow, until: total)
        #expect(got.reduce(0) { $0 + Int($1.missed) } + got.count == total)
        #expect(got[0].missed > 0 && got.dropFirst().allSatisfy { $0.missed == 0 })
        #expect(got.last?.sequence == UInt64(total))
    }

    /// Whoever wants what happens now does not work through what happened before.
    @Test func aLiveCursorGoesToTheNewest() async throws {
        let log = FanOutLog(limit: 32 << 20)
        let (live, patient) = (
            try log.open(RecordRequest(starts: [.alert: .now])),
            try log.open(RecordRequest(starts: [.alert: .after(0)]))
        )
        let old = SpoolWriter.realTime() - 2_000_000_000
        for number in 1...10_000 { append(log, ["\(number) " + String(repeating: "x", count: 300)], time: old) }
        append(log, ["fresh"])
        let got = try await read(live, until: 10_001)
        #expect(got.count < 2000 && got.last?.text == "fresh!")
        #expect(got.reduce(0) { $0 + Int($1.missed) } + got.count == 10_001)
        #expect(try await read(patient, until: 10_001).count == 10_001)
    }

    /// What an agent had lost has numbers, too: every client is told of it, once and to the record.
    @Test func whatAgentsLostIsToldToEverybody() async throws {
        let log = FanOutLog(limit: 8 << 20)
        let cursors = try (0..<3).map { _ in try log.open(RecordRequest(starts: [.alert: .now, .log: .now])) }
        var intake = AgentIntake(
            name: "node1", position: AgentBook.Position(spool: "a", next: SpoolNumbers()), spool: "a")
        func batch(_ records: [(SpoolKind, UInt64, UInt64, [UInt8])]) throws -> [UInt8] {
            try Portcullis_V1_Batch.with {
                $0.spool = "a"
                $0.records = records.map { kind, sequence, missed, payload in
                    .with {
                        ($0.kind, $0.sequence, $0.missed) = (kind.onTheWire, sequence, missed)
                        $0.payload = Data(payload)
                    }
                }
            }.serializedBytes()
        }
        let alert: [UInt8] = try Feeder_Alert.with { $0.resource = "/x" }.serializedBytes()
        let entry: [UInt8] = try Feeder_Log.with { $0.resource = "/x" }.serializedBytes()
        intake.take(try batch([(.alert, 1, 0, alert), (.log, 1, 0, entry)]), into: log)
        // 99 are gone, and the record that tells of it is none that a client could read.
        intake.take(try batch([(.alert, 101, 99, [0xff, 0xff]), (.log, 2, 0, entry)]), into: log)
        intake.take(try batch([(.alert, 102, 0, alert), (.log, 7, 4, entry)]), into: log)
        intake.take(try batch([(.alert, 103, 0, alert)]), into: log)
        #expect(intake.missed == 103 && intake.malformed == 1 && intake.received == 6)
        for cursor in cursors {
            var (records, missed): ([SpoolKind: Int], [SpoolKind: UInt64]) = ([:], [:])
            while records.values.reduce(0, +) < 6 {
                try await cursor.next { record in
                    records[record.kind, default: 0] += 1
                    missed[record.kind, default: 0] += record.missed
                }
            }
            #expect(records == [.alert: 3, .log: 3] && missed == [.alert: 99, .log: 4])
        }
        // Who is new to the relay has lost nothing that its clients could have had.
        var other = AgentIntake(name: "node2", position: nil, spool: "b")
        other.take(try batch([(.alert, 5000, 4999, alert)]), into: log)
        #expect(log.newestSequence(.alert) == 103)
        #expect(log.appended == 7)
    }

    @Test func readersBesideWritersLoseNothingUntold() async throws {
        let log = FanOutLog(limit: 1 << 20)
        let (writers, each) = (4, 20_000)
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<3 {
                let cursor = try log.open(RecordRequest(starts: [.alert: .after(0)]))
                group.addTask { try await read(cursor, until: writers * each).reduce(0) { $0 + 1 + Int($1.missed) } }
            }
            for writer in 0..<writers {
                group.addTask {
                    for number in 0..<each { append(log, ["\(writer) \(number)"]) }
                    return writers * each
                }
            }
            for try await count in group { #expect(count == writers * each) }
        }
        #expect(log.appended == UInt64(writers * each))
    }

    @Test func aCancelledCursorEnds() async throws {
        let log = FanOutLog(limit: 1 << 20)
        let cursor = try log.open(RecordRequest(starts: [.alert: .now]))
        let task = Task { try await cursor.next { _ in } }
        try await Task.sleep(for: .milliseconds(20))
        cursor.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
