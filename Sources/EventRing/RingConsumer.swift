import CEventRing

/// The reading end of a ring: one in the whole system.
public final class RingConsumer {
    private var view = pc_ring()
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: EventWriter.capacity, alignment: 8)
    /// Records that were not of the expected form.
    public private(set) var malformed: UInt64 = 0

    /// Attaches to a ring.
    public init(memory: UnsafeMutableRawPointer, size: Int) throws(RingError) {
        let result = pc_ring_attach(&view, memory, size)
        if result != 0 { throw RingError(errno: -result) }
    }

    deinit { buffer.deallocate() }

    /// The next record; `nil` when there is none now.
    public func next() -> EventRecord? {
        while true {
            guard let base = buffer.baseAddress else { return nil }
            let length = pc_ring_read(&view, base, buffer.count)
            if length == 0 { return nil }
            if length > 0, let record = EventRecord(UnsafeRawBufferPointer(rebasing: buffer[0..<length])) {
                return record
            }
            malformed += 1
        }
    }

    /// Says that the consumer is going to sleep; false when a record has come meanwhile.
    public func prepareSleep() -> Bool { pc_ring_prepare_sleep(&view) == 1 }

    /// The producers so far are dead: what they left half-written is not waited for.
    public func abandon() { pc_ring_abandon(&view) }

    /// Records lost since the last call: dropped by a full ring, or abandoned.
    public func takeLost() -> UInt64 { pc_ring_take_lost(&view) }
}
