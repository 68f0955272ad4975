import EventSpool
import Foundation
import RPCServices
import Synchronization
import Testing

/// What a stream leaves out that is to be fresh, by a clock of ours.
@Suite(.timeLimit(.minutes(10))) struct FreshnessTests {
    private static let second: UInt64 = 1_000_000_000
    private static let start: UInt64 = 1_000_000 * second
    private static let much = FreshnessGate.tolerance + 1

    @Test func onlyWhatIsOldAndMuchIsLeftOut() {
        let (second, start) = (Self.second, Self.start)
        var gate = FreshnessGate(limit: second, isLive: true, now: start)
        #expect(gate.bound(waiting: Self.much, oldest: start, now: start + second) == 0, "as old as permitted")
        #expect(gate.bound(waiting: Self.much - 1, oldest: start, now: start + 100 * second) == 0, "late, but little")
        #expect(gate.bound(waiting: Self.much, oldest: nil, now: start + 100 * second) == 0)
        #expect(gate.bound(waiting: Self.much, oldest: start + 1, now: start) == 0, "a clock that was set back")
        let bound = gate.bound(waiting: Self.much, oldest: start, now: start + second + 1)
        #expect(bound == start + second * 3 / 4 + 1, "well ahead of the limit")
        // Until then, and until little waits.
        #expect(gate.bound(waiting: Self.much, oldest: bound, now: start + second + 2) == bound)
        #expect(gate.bound(waiting: Self.much - 1, oldest: start, now: start + second + 3) == 0)
    }

    @Test func whatWaitedForTheStreamGoesOutFirst() {
        let (second, start) = (Self.second, Self.start)
        let old = start - 1000 * second
        var gate = FreshnessGate(limit: second, isLive: false, now: start)
        #expect(gate.bound(waiting: Self.much, oldest: old, now: start + FreshnessGate.longestCatchUp) == 0)
        #expect(gate.bound(waiting: Self.much, oldest: old, now: start + FreshnessGate.longestCatchUp + 1) > 0)
        gate = FreshnessGate(limit: second, isLive: false, now: start)
        gate.caughtUp()
        #expect(gate.bound(waiting: Self.much, oldest: old, now: start + 1) > 0)
        gate.caughtUp()
        #expect(gate.bound(waiting: 1, oldest: old, now: start + 1) == 0)
    }

    /// A spool whose clock and reader are ours.
    private final class Site: Sendable {
        let folder = "/tmp/portcullis-fresh-\(UUID().uuidString.prefix(8))"
        let time = Mutex<UInt64>(FreshnessTests.start)

        init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(atPath: folder) }

        func pass(_ nanoseconds: UInt64) { time.withLock { $0 += nanoseconds } }

        func writer(_ limits: SpoolLimits = SpoolLimits()) throws -> SpoolWriter {
            try SpoolWriter(directory: folder, limits: limits) { [unowned self] in time.withLock { $0 } }
        }

        func cursor(_ starts: [SpoolKind: SpoolStart], limit: UInt64?) throws -> SpoolCursor {
            let isLive = starts.values.allSatisfy { $0 == .now }
            return SpoolCursor(
                try SpoolReader(directory: folder, from: starts, chunk: 32 << 10), wake: WakeBroadcast(),
                gate: limit.map { FreshnessGate(limit: $0, isLive: isLive, now: time.withLock { $0 }) }
            ) { [unowned self] in time.withLock { $0 } }
        }
    }

    private struct Got {
        var sequences: [SpoolKind: [UInt64]] = [:]
        var missed: [SpoolKind: UInt64] = [:]
        var oldest: UInt64 = .max

        mutating func take(_ record: RecordView) {
            sequences[record.kind, default: []].append(record.sequence)
            missed[record.kind, default: 0] += record.missed
            oldest = min(oldest, record.time)
        }

        func sum(_ kind: SpoolKind) -> Int { (sequences[kind]?.count ?? 0) + Int(missed[kind] ?? 0) }
    }

    private func read(_ cursor: SpoolCursor, _ got: inout Got, until last: UInt64) async throws {
        while got.sequences[.alert]?.last != last { try await cursor.next { got.take($0) } }
    }

    /// Ten seconds of 1000 alerts of 300 bytes, of which nobody took anything.
    @Test(arguments: [nil, 1_000_000_000 as UInt64]) func lossesAreToldToTheRecord(limit: UInt64?) async throws {
        let site = try Site()
        // Segments end in between, and the oldest are gone.
        var writer = try site.writer(SpoolLimits(totalBytes: 2 << 20, segmentBytes: 256 << 10))
        writer.append(.alert, [1])
        writer.flush()
        let live = try site.cursor([.alert: .now, .log: .now], limit: limit)
        var fresh = Got()
        for number in 2...10_001 {
            writer.append(.alert, [UInt8](repeating: 32, count: 300))
            if number % 10 == 0 { writer.append(.log, [UInt8](repeating: 32, count: 100)) }
            site.pass(1_000_000)
        }
        writer.flush()
        try await read(live, &fresh, until: 10_001)
        #expect(fresh.sum(.alert) == 10_000 && fresh.sum(.log) == 1000, "\(fresh.missed)")
        #expect(
            fresh.sequences[.alert]?.count ?? 0 >= (FreshnessGate.tolerance - (32 << 10)) / 400,
            "the newest go out in any case")
        let age = (site.time.withLock { $0 } - fresh.oldest) / 1_000_000
        if limit == nil { #expect(age > 4000) } else { #expect(age <= 500, "\(age) ms, of which 128 KiB are 400") }
        // The same later: nothing of it is told again, and a reader that keeps up loses nothing.
        let before = fresh.missed
        for number in 10_002...10_501 {
            writer.append(.alert, [UInt8](repeating: 32, count: 300))
            site.pass(1_000_000)
            if number % 50 == 0 {
                writer.flush()
                try await read(live, &fresh, until: UInt64(number))
            }
        }
        #expect(fresh.missed == before && fresh.sum(.alert) == 10_499)
    }

    /// Whoever comes after a day gets the day, and is fresh from then on.
    @Test func whoComesBackGetsEverything() async throws {
        let site = try Site()
        var writer = try site.writer()
        for _ in 1...10_000 {
            writer.append(.alert, [UInt8](repeating: 32, count: 300))
            site.pass(Self.second)
        }
        writer.flush()
        let cursor = try site.cursor([.alert: .after(0)], limit: 1000)
        var got = Got()
        try await read(cursor, &got, until: 10_000)
        #expect(got.sequences[.alert] == Array(1...10_000) && got.missed[.alert] == 0)
    }
}
