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

    private let log: FanOutLog
    /// A bit for each kind: it is looked at for every record.
    private let wanted: UInt64
    private let place: Mutex<Place>
    private let isCancelled = Atomic<Bool>(false)
    /// A client that asked for no place wants what happens now: when it is behind by this many nanoseconds, and by more than a
    /// block, it goes to the newest one. What it leaves out is told like any other loss.
    private let patience: UInt64?
    private static let livePatience: UInt64 = 400_000_000

    init(_ log: FanOutLog, wanted: Set<SpoolKind>, place: Place, isLive: Bool) {
        self.log = log
        self.wanted = wanted.reduce(0) { $0 | 1 << UInt64($1.rawValue) }
        self.place = Mutex(place)
        patience = isLive ? Self.livePatience : nil
    }

    var spool: UInt64 { log.spool }

    func next(_ body: (RecordView) -> Void) async throws {
        while true {
            let generation = log.wake.generation
            if isCancelled.load(ordering: .acquiring) || Task.isCancelled { throw CancellationError() }
            switch place.withLock({ read(&$0, body) }) {
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

    private func read(_ place: inout Place, _ body: (RecordView) -> Void) -> Progress {
        if place.block == nil { place.block = log.block(behind: nil) }
        guard var block = place.block else { return .nothing }
        if place.offset >= block.length {
            guard let following = log.block(behind: block.number) else { return .nothing }
            // Between the look at the length and the next block's beginning more may have come into this one.
            if place.offset >= block.length {
                (place.block, place.offset) = (following, 0)
                block = following
            }
        }
        let end = block.length
        guard place.offset < end else { return .nothing }
        if let patience, let entry = block.entry(at: place.offset), let newest = log.newest,
            newest.number > block.number + 1, Self.isOlder(entry.time, than: patience)
        {
            (place.block, place.offset) = (newest, 0)
            return .skipped
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

    private static func isOlder(_ time: UInt64, than patience: UInt64) -> Bool {
        let now = SpoolWriter.realTime()
        return now > time && now - time > patience
    }
}
