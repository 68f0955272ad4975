import CEventRing
import Glibc

/// Memory that is not a ring of this version.
public struct RingError: Error, Equatable, Sendable, CustomStringConvertible {
    /// errno of the refusal.
    public let errno: Int32
    /// One line for people.
    public var description: String { "not an event ring (errno \(errno))" }
}

/// Sizes of a ring.
public enum RingGeometry {
    /// Bytes of shared memory for a ring of `cells` cells of 128 bytes; 0 when that is not a power of two from 128 to 2^24.
    public static func size(cells: Int) -> Int { pc_ring_size(UInt64(cells)) }

    /// Makes a ring in zeroed, page-aligned memory.
    public static func initialize(_ memory: UnsafeMutableRawPointer, size: Int, cells: Int) throws(RingError) {
        let result = pc_ring_init(memory, size, UInt64(cells))
        if result != 0 { throw RingError(errno: -result) }
    }
}

/// The writing end of a ring. Each thread that writes has one of its own.
public struct RingProducer: @unchecked Sendable {
    // Unchecked: the memory is only touched through the ring's atomics; the view itself is this value's own.
    private let view: UnsafeMutablePointer<pc_ring>

    /// Attaches to a ring. The view lives as long as the process.
    public init(memory: UnsafeMutableRawPointer, size: Int) throws(RingError) {
        view = .allocate(capacity: 1)
        view.initialize(to: pc_ring())
        let result = pc_ring_attach(view, memory, size)
        if result != 0 {
            view.deallocate()
            throw RingError(errno: -result)
        }
    }

    /// Writes a record; 0, -ENOBUFS when full, -EMSGSIZE beyond 8 KiB. Never waits.
    public func write(_ record: UnsafeRawBufferPointer) -> Int32 {
        guard let base = record.baseAddress else { return 0 }
        var part = iovec(iov_base: UnsafeMutableRawPointer(mutating: base), iov_len: record.count)
        return pc_ring_write(view, &part, 1)
    }

    /// After a write: whether the consumer sleeps and is to be woken by its eventfd.
    public var needsWake: Bool { pc_ring_needs_wake(view) == 1 }
}
