import EventSpool
import RPCServices
import Synchronization

/// A client's place in the newest records.
final class FanOutCursor: RecordCursor {
    struct Place {
        var block: FanOutBlock?
        var offset: Int
        /// What has to come next of each kind.
        var next: SpoolNumbers
    }

    private struct State {
        var place: Place
        var gate: FreshnessGate?
    }

    private let log: FanOutLog
    /// A bit for each kind: it is looked at for every record.
    private let wanted: UInt64
    private let place: Mutex<State>
    private let isCancelled = Atomic<Bool>(false)
    /// A client that asked for no place wants what happens now: nanoseconds that it may be behind.
    static let livePatience: UInt64 = 250_000_000
    /// Bytes that a client that is to be fresh takes at once: they are getting older until they are written.
    private static let freshChunk = 64 << 10
    private let isFresh: Bool

    /// - Parameter gate: `nil` for a client that gets everything that is still there. What it leaves out is told like any other loss.
    init(_ log: FanOutLog, wanted: Set<SpoolKind>, place: Place, gate: FreshnessGate?) {
        self.log = log
        self.wanted = wanted.reduce(0) { $0 | 1 << UInt64($1.rawValue) }
        isFresh = gate != nil
        self.place = Mutex(State(place: place, gate: gate))
    }

    var spool: UInt64 { log.spool }

    func next(_ body: (RecordView) -> Void) async throws {
        while true {
            let generation = log.wake.generation
            if isCancelled.load(ordering: .acquiring) || Task.isCancelled { throw CancellationError() }
            switch place.withLock({ read(&$0.place, &$0.gate, body) }) {
            case .given: return
            case .skipped: await Task.yield()
            case .nothing:
                await withTaskCancellationHandler {
                    await log.wake.wait(after: generation)
                } onCancel: {
                    cancel()
                }
            }
        }
    }

    func cancel() {
        isCancelled.store(true, ordering: .releasing)
        log.wake.signal()
    }

    private enum Progress { case given, skipped, nothing }

    private func read(_ place: inout Place, _ gate: inout FreshnessGate?, _ body: (RecordView) -> Void) -> Progress {
        if place.block == nil { place.block = log.block(behind: nil) }
        guard var block = place.block else { return .nothing }
        if place.offset >= block.length {
            guard let following = log.block(behind: block.number) else {
                gate?.caughtUp()
                return .nothing
            }
            // Between the look at the length and the next block's beginning more may have come into this one.
            if place.offset >= block.length {
                (place.block, place.offset) = (following, 0)
                block = following
            }
        }
        var end = block.length
        guard place.offset < end else {
            gate?.caughtUp()
            return .nothing
        }
        if isFresh {
            let oldest = block.entry(at: place.offset)?.time
            if let newest = log.newest, newest.number > block.number,
                gate?.bound(
                    waiting: Self.bytes(from: place, in: block, to: newest), oldest: oldest, now: SpoolWriter.realTime()
                ) != 0
            {
                (place.block, place.offset) = (newest, 0)
                return .skipped
            }
            end = min(end, place.offset + Self.freshChunk)
        }
        var given = false
        while place.offset < end, let entry = block.entry(at: place.offset) {
            place.offset = entry.end
            guard wanted & 1 << UInt64(entry.kind.rawValue) != 0, entry.sequence >= place.next[entry.kind] else {
                continue
            }
            let missed = entry.sequence - place.next[entry.kind]
            place.next[entry.kind] = entry.sequence + 1
            given = true
            body(
                RecordView(
                    spool: log.spool, kind: entry.kind, sequence: entry.sequence, missed: missed, time: entry.time,
                    payload: entry.payload))
        }
        return given ? .given : .skipped
    }

    private static func bytes(from place: Place, in block: FanOutBlock, to newest: FanOutBlock) -> Int {
        Int(newest.number - block.number) * FanOutBlock.capacity - place.offset + newest.length
    }
}
