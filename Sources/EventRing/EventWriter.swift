import CEventRing
import Glibc

/// The fixed head of a record under construction.
public typealias EventHeader = pc_event_header

/// Builds one record at a time in a buffer of its own, without allocating, and writes it to a ring.
public struct EventWriter {
    /// Largest record, head included.
    public static let capacity = Int(PC_RING_RECORD_MAX)
    private static let headerSize = MemoryLayout<EventHeader>.size

    /// The head; lengths and version are filled in by `begin` and `add`.
    public var header = EventHeader()
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 8)
    private var used = 0

    /// A writer with a buffer that lives until `deallocate`.
    public init() {}

    /// Frees the buffer.
    public func deallocate() { buffer.deallocate() }

    /// Forgets the last record.
    public mutating func begin() {
        header = EventHeader()
        header.version = UInt16(PC_EVENT_VERSION)
        header.header_size = UInt16(Self.headerSize)
        used = Self.headerSize
    }

    /// Adds a field; fields are to be added in the order of `EventField`. What does not fit is cut, and the record says so.
    ///
    /// - Parameter limit: most bytes of this field.
    public mutating func add(_ field: EventField, _ bytes: UnsafeRawBufferPointer, limit: Int = 4096) {
        let length = min(bytes.count, limit, Self.capacity - used)
        if length < bytes.count { header.flags |= PC_EVENT_TRUNCATED.rawValue }
        if length > 0, let source = bytes.baseAddress, let base = buffer.baseAddress {
            (base + used).copyMemory(from: source, byteCount: length)
        }
        withUnsafeMutableBytes(of: &header.lengths) {
            $0.storeBytes(of: UInt16(length), toByteOffset: field.rawValue * 2, as: UInt16.self)
        }
        used += length
    }

    /// Writes the record. 0, or -ENOBUFS when the ring is full (the ring counts it).
    public mutating func publish(to ring: borrowing RingProducer) -> Int32 {
        withUnsafeBytes(of: header) { buffer.copyMemory(from: $0) }
        return ring.write(UnsafeRawBufferPointer(rebasing: buffer[0..<used]))
    }
}
