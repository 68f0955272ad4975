/// Who talks to whom, as the record of a reported packet has it: `EventField.resource` of the category `packet`.
public struct PacketFlow: Sendable, Hashable {
    /// The packet arrived; otherwise it was about to leave.
    public var isIngress: Bool
    /// What a rule is about that reports a packet.
    public enum Origin: UInt8, Sendable {
        /// Packets.
        case packets = 0
        /// Bytes that were used up.
        case quota = 1
        /// Sockets of a protocol, of which packets tell.
        case sockets = 2
    }

    /// What the rule is about.
    public var origin: Origin
    /// 4 or 6.
    public var version: UInt8
    /// IPPROTO_*.
    public var transport: UInt8
    /// 0 where the transport has none, or the packet is a later fragment.
    public var sourcePort: UInt16
    /// As `sourcePort`.
    public var destinationPort: UInt16
    /// In network byte order; of IPv4 the first four bytes.
    public var source: SIMD16<UInt8>
    /// As `source`.
    public var destination: SIMD16<UInt8>
    /// The interface's name, filled up with zeros.
    public var interface: SIMD16<UInt8>

    /// Bytes of a flow.
    public static let size = 56

    /// A flow between unspecified addresses.
    public init(version: UInt8) {
        self.version = version
        isIngress = false
        origin = .packets
        transport = 0
        sourcePort = 0
        destinationPort = 0
        source = SIMD16(repeating: 0)
        destination = SIMD16(repeating: 0)
        interface = SIMD16(repeating: 0)
    }

    /// Reads a flow; `nil` when the bytes are not one.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.size, bytes[0] <= 1, bytes[2] == 4 || bytes[2] == 6,
            let origin = Origin(rawValue: bytes[1])
        else { return nil }
        self.init(version: bytes[2])
        isIngress = bytes[0] == 1
        self.origin = origin
        transport = bytes[3]
        sourcePort = UInt16(bytes[4]) << 8 | UInt16(bytes[5])
        destinationPort = UInt16(bytes[6]) << 8 | UInt16(bytes[7])
        for index in 0..<16 {
            source[index] = bytes[8 + index]
            destination[index] = bytes[24 + index]
            interface[index] = bytes[40 + index]
        }
    }

    /// Writes the `size` bytes of it.
    public func write(to buffer: UnsafeMutableRawBufferPointer) {
        guard buffer.count >= Self.size else { return }
        buffer[0] = isIngress ? 1 : 0
        buffer[1] = origin.rawValue
        buffer[2] = version
        buffer[3] = transport
        buffer[4] = UInt8(sourcePort >> 8)
        buffer[5] = UInt8(truncatingIfNeeded: sourcePort)
        buffer[6] = UInt8(destinationPort >> 8)
        buffer[7] = UInt8(truncatingIfNeeded: destinationPort)
        for index in 0..<16 {
            buffer[8 + index] = source[index]
            buffer[24 + index] = destination[index]
            buffer[40 + index] = interface[index]
        }
    }
}
