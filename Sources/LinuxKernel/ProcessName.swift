/// A thread's name (comm): at most 15 bytes, any but zero.
public struct ProcessName: Hashable, Sendable, CustomStringConvertible {
    private var low: UInt64 = 0
    private var high: UInt64 = 0
    /// Bytes in use.
    public private(set) var count = 0

    /// Empty.
    public init() {}

    /// The first 16 bytes.
    public init(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { append(byte) }
    }

    /// Adds a byte, if there is room.
    mutating func append(_ byte: UInt8) {
        guard count < 16 else { return }
        if count < 8 {
            low |= UInt64(byte) << (8 * UInt64(count))
        } else {
            high |= UInt64(byte) << (8 * UInt64(count - 8))
        }
        count += 1
    }

    /// One byte of the name, 0 beyond the end.
    public subscript(index: Int) -> UInt8 {
        guard index >= 0, index < count else { return 0 }
        return UInt8(truncatingIfNeeded: index < 8 ? low >> (8 * UInt64(index)) : high >> (8 * UInt64(index - 8)))
    }

    /// The bytes. Allocates.
    public var bytes: [UInt8] { (0..<count).map { self[$0] } }

    /// The name as text, with bytes that are not UTF-8 replaced. Allocates.
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}
