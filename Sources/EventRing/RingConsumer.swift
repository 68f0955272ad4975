import CEventRing

/// The one reader of a ring. Its positions live in private memory; a record is copied out before anybody looks into it.
///
/// Unchecked: the value has one owner and reads need exclusive access, so it may move between threads.
public struct RingConsumer: ~Copyable, @unchecked Sendable {
    private let handle: UnsafeMutablePointer<pc_ring_consumer>

    /// Becomes the consumer. There must be no other; a successor of a crashed one goes on at its last published place,
    /// so the records taken shortly before the crash may come again.
    public init(ring: SharedRing) {
        var view = ring.view
        handle = .allocate(capacity: 1)
        handle.initialize(to: pc_ring_consumer())
        pc_ring_consumer_open(&view, handle)
    }

    deinit {
        pc_ring_publish(handle)
        handle.deallocate()
    }

    /// Takes the next item. A record is copied to the start of `buffer`, which has `SharedRing.maximumRecord` bytes;
    /// with a smaller one a record that does not fit is `tooLong` and stays.
    public mutating func next(into buffer: UnsafeMutableRawBufferPointer) -> RingItem {
        var item = pc_ring_item()
        let result = pc_ring_pop(handle, buffer.baseAddress, buffer.count, &item)
        switch result {
        case Int32(PC_RING_EMPTY.rawValue): return .empty
        case Int32(PC_RING_RECORD.rawValue): return .record(length: Int(item.length), lane: Int(item.lane))
        case Int32(PC_RING_LOST.rawValue): return .lost(count: item.count, lane: Int(item.lane))
        case Int32(PC_RING_CORRUPT.rawValue): return .corrupt(lane: Int(item.lane))
        default: return .tooLong(length: Int(item.length))
        }
    }

    /// Lets the producers have the room of everything taken so far (otherwise done several times a lap).
    public mutating func publishProgress() {
        pc_ring_publish(handle)
    }

    /// Announces sleep on the wake-up descriptor. False: do not sleep, there is something to read.
    public mutating func prepareToWait() -> Bool {
        pc_ring_prepare_wait(handle) == 0
    }

    /// Withdraws the announcement after the sleep, however it ended.
    public mutating func finishWaiting() {
        pc_ring_finish_wait(handle)
    }

    /// Totals since this consumer was opened.
    public var totals: RingTotals {
        RingTotals(records: handle.pointee.records, lost: handle.pointee.lost, corrupt: handle.pointee.corrupt)
    }
}
