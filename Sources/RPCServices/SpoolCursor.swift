import EventSpool
import Synchronization

/// A stream's place in a spool on disk: no queue of its own, so a slow stream costs nobody memory.
package final class SpoolCursor: RecordCursor {
    private struct State: ~Copyable {
        var reader: SpoolReader
        var gate: FreshnessGate?
        /// Records that were left out since the last one that was given, by kind.
        var untold = SpoolNumbers(repeating: 0)
    }

    private let state: Mutex<State>
    private let wake: WakeBroadcast
    private let clock: @Sendable () -> UInt64
    private let isCancelled = Atomic<Bool>(false)
    /// Bytes that a stream that is to be fresh takes out of the spool at once.
    static let freshChunk = 16 << 10

    /// - Parameter gate: `nil` for a stream that gets everything.
    package init(
        _ reader: consuming sending SpoolReader, wake: WakeBroadcast, gate: FreshnessGate? = nil,
        clock: @escaping @Sendable () -> UInt64 = SpoolWriter.realTime
    ) {
        state = Mutex(State(reader: reader, gate: gate))
        self.wake = wake
        self.clock = clock
    }

    package var spool: UInt64 { state.withLock { $0.reader.spool } }

    package func next(_ body: (RecordView) -> Void) async throws {
        while true {
            // Read before the look, so that what comes between look and wait is not slept over.
            let generation = wake.generation
            if isCancelled.load(ordering: .acquiring) || Task.isCancelled { throw CancellationError() }
            switch state.withLock({ read(&$0, body) }) {
            case .records: return
            case .skipped: await Task.yield()
            case .atEnd:
                await withTaskCancellationHandler {
                    await wake.wait(after: generation)
                } onCancel: {
                    cancel()
                }
            }
        }
    }

    package func cancel() {
        isCancelled.store(true, ordering: .releasing)
        wake.signal()
    }

    private func read(_ state: inout State, _ body: (RecordView) -> Void) -> SpoolReader.Progress {
        guard state.gate != nil else { return state.reader.read(body) }
        let waiting = state.reader.waitingBytes
        let oldest = waiting > FreshnessGate.tolerance ? state.reader.nextTime : nil
        let bound = state.gate?.bound(waiting: waiting, oldest: oldest, now: clock()) ?? 0
        var (given, untold) = (0, state.untold)
        let progress = state.reader.read { record in
            if record.time < bound {
                untold[record.kind] += record.missed + 1
                return
            }
            given += 1
            body(record.missing(untold[record.kind]))
            untold[record.kind] = 0
        }
        state.untold = untold
        if progress == .atEnd { state.gate?.caughtUp() }
        return progress == .atEnd || given > 0 ? progress : .skipped
    }
}

extension RecordView {
    /// The same, with more that was missed before it.
    fileprivate func missing(_ count: UInt64) -> RecordView {
        count == 0
            ? self
            : RecordView(
                spool: spool, kind: kind, sequence: sequence, missed: missed + count, time: time, payload: payload)
    }
}
