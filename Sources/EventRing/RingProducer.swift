import CEventRing

/// One lane of a ring. Each writing thread has its own; dropping the value gives the lane back.
///
/// Unchecked: the value has one owner and writes need exclusive access, so it may move between threads.
public struct RingProducer: ~Copyable, @unchecked Sendable {
    private var handle: pc_ring_producer

    /// Claims a free lane.
    /// - Parameter owner: names this process (not 0) and never comes back within the ring's life: pid and start time, or
    ///   a number the guardian counts up.
    /// - Throws: `RingError.noFreeLane`, `.invalidLayout` (owner 0)
    public init(ring: SharedRing, owner: UInt64) throws(RingError) {
        var view = ring.view
        var handle = pc_ring_producer()
        let result = pc_ring_claim(&view, owner, &handle)
        guard result == 0 else { throw owner == 0 ? .invalidLayout : .noFreeLane }
        self.handle = handle
    }

    deinit {
        var handle = handle
        pc_ring_release(&handle)
    }

    /// Writes one record of 1 to `SharedRing.maximumRecord` bytes. Never waits: without room, or with any other length,
    /// the record is counted as dropped.
    public mutating func write(_ bytes: UnsafeRawBufferPointer) -> RingPush {
        var part = pc_ring_part(base: bytes.baseAddress, length: bytes.count)
        let written = pc_ring_write(&handle, &part, 1) == 0
        return RingPush(isWritten: written, mustWakeConsumer: pc_ring_needs_wake(&handle) != 0)
    }

    /// Counts a record as lost that never reached the ring, so that the consumer is told.
    public mutating func countDropped() {
        pc_ring_drop(&handle)
    }

    /// Reserves room and gives it up to nobody: what a producer leaves that is killed in the middle of a record.
    package mutating func reserveWithoutCommit(length: Int) -> Bool {
        var room: UnsafeMutableRawPointer?
        return pc_ring_reserve(&handle, length, &room) == 0
    }
}
