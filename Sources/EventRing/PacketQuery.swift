/// A packet that asks for a name, as its record has it: `EventField.message` of the category `dns`.
public struct PacketQuery: Sendable, Hashable {
    /// Who asks whom.
    public var flow: PacketFlow
    /// QTYPE: 1 is A, 28 AAAA.
    public var type: UInt16

    /// Bytes of a query.
    public static let size = PacketFlow.size + 2

    /// A query of a type.
    public init(flow: PacketFlow, type: UInt16) {
        self.flow = flow
        self.type = type
    }

    /// Reads a query; `nil` when the bytes are not one.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.size, let flow = PacketFlow(Array(bytes.prefix(PacketFlow.size))) else { return nil }
        self.init(flow: flow, type: UInt16(bytes[PacketFlow.size]) << 8 | UInt16(bytes[PacketFlow.size + 1]))
    }

    /// Writes the `size` bytes of it.
    public func write(to buffer: UnsafeMutableRawBufferPointer) {
        guard buffer.count >= Self.size else { return }
        flow.write(to: buffer)
        buffer[PacketFlow.size] = UInt8(type >> 8)
        buffer[PacketFlow.size + 1] = UInt8(truncatingIfNeeded: type)
    }
}
