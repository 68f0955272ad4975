import EventSpool
import Synchronization

/// A stream's place in a spool on disk: no queue of its own, so a slow stream costs nobody memory.
final class SpoolCursor: RecordCursor {
    private let reader: Mutex<SpoolReader>
    private let wake: WakeBroadcast
    private let isCancelled = Atomic<Bool>(false)

    init(_ reader: consuming sending SpoolReader, wake: WakeBroadcast) {
        self.reader = Mutex(reader)
        self.wake = wake
    }

    var spool: UInt64 { reader.withLock { $0.spool } }

    func next(_ body: (RecordView) -> Void) async throws {
        while true {
            // Read before the look, so that what comes between look and wait is not slept over.
            let generation = wake.generation
            if isCancelled.load(ordering: .acquiring) || Task.isCancelled { throw CancellationError() }
            switch reader.withLock({ $0.read(body) }) {
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

    func cancel() {
        isCancelled.store(true, ordering: .releasing)
        wake.signal()
    }
}
