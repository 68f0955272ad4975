import EventSpool
import Synchronization

/// A piece of memory full of records, written once from front to back by one thread at a time and read by any.
///
/// `@unchecked Sendable`: bytes below `length` never change, and `length` is published with release and read with acquire.
final class FanOutBlock: @unchecked Sendable {
    /// Length, kind, number, time.
    static let headerBytes = 24
    static let capacity = 256 << 10

    let number: UInt64
    /// What the first record of each kind in it is numbered, at least.
    let first: SpoolNumbers
    private let memory: UnsafeMutableRawPointer
    private let capacity: Int
    private let published = Atomic<Int>(0)

    init(number: UInt64, first: SpoolNumbers, capacity: Int = FanOutBlock.capacity) {
        self.number = number
        self.first = first
        self.capacity = capacity
        memory = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
    }

    deinit { memory.deallocate() }

    /// Bytes that hold records.
    var length: Int { published.load(ordering: .acquiring) }

    /// Bytes it takes in memory.
    var size: Int { capacity }

    /// Adds a record; false when there is no room. One thread at a time.
    func append(
        _ kind: SpoolKind, _ sequence: UInt64, time: UInt64, _ payload: UnsafeRawBufferPointer, _ rest: [UInt8]
    ) -> Bool {
        let offset = published.load(ordering: .relaxed)
        let count = payload.count + rest.count
        // Headers stay aligned.
        let end = (offset + Self.headerBytes + count + 7) & ~7
        guard end <= capacity else { return false }
        memory.storeBytes(of: UInt32(count), toByteOffset: offset, as: UInt32.self)
        memory.storeBytes(of: UInt32(kind.rawValue), toByteOffset: offset + 4, as: UInt32.self)
        memory.storeBytes(of: sequence, toByteOffset: offset + 8, as: UInt64.self)
        memory.storeBytes(of: time, toByteOffset: offset + 16, as: UInt64.self)
        let target = UnsafeMutableRawBufferPointer(start: memory + offset + Self.headerBytes, count: count)
        target.copyMemory(from: payload)
        rest.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: target[payload.count...]).copyMemory(from: $0) }
        published.store(end, ordering: .releasing)
        return true
    }

    /// A record in a block.
    struct Entry {
        var kind: SpoolKind
        var sequence: UInt64
        var time: UInt64
        var payload: UnsafeRawBufferPointer
        /// Where the next one begins.
        var end: Int
    }

    /// The record at a place below `length`.
    func entry(at offset: Int) -> Entry? {
        let count = Int(memory.load(fromByteOffset: offset, as: UInt32.self))
        guard
            let kind = SpoolKind(
                rawValue: UInt8(truncatingIfNeeded: memory.load(fromByteOffset: offset + 4, as: UInt32.self)))
        else { return nil }
        return Entry(
            kind: kind, sequence: memory.load(fromByteOffset: offset + 8, as: UInt64.self),
            time: memory.load(fromByteOffset: offset + 16, as: UInt64.self),
            payload: UnsafeRawBufferPointer(start: memory + offset + Self.headerBytes, count: count),
            end: (offset + Self.headerBytes + count + 7) & ~7)
    }
}
