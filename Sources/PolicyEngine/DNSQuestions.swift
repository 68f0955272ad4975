/// The names that a DNS message asks for (RFC 1035 4.1). Reads no byte that is not there, and allocates nothing.
///
/// Any opcode counts, and every question, not the first alone: servers differ in what they make of the others.
public struct DNSQuestions {
    /// What comes next in a message.
    public enum Step: Sendable, Equatable {
        /// A name, how many bytes of it were written, and what type of record is asked for (QTYPE: 1 is A, 28 AAAA).
        case name(length: Int, type: UInt16)
        /// No further question.
        case end
        /// A question that is cut off or is no question; what follows it cannot be told.
        case malformed
    }

    /// Bytes of the longest name in presentation form: each of 250 bytes as `\DDD`, and the dots.
    public static let longestName = 1004
    private static let headerSize = 12
    /// Type and class.
    private static let tailSize = 4
    /// Bytes of a name on the wire (RFC 1035 2.3.4).
    private static let longestWire = 255
    /// A name of that many bytes has no more labels, and so no use for more pointers.
    private static let maximumPointers = 127

    private let message: UnsafeRawBufferPointer
    private var offset = Self.headerSize
    private var left: Int

    /// Begins to read a message without the length that TCP puts in front of it; `nil` for an answer and for what has no header.
    public init?(_ message: UnsafeRawBufferPointer) {
        // QR, the highest bit of the flags.
        guard message.count >= Self.headerSize, message[2] & 0x80 == 0 else { return nil }
        self.message = message
        left = Int(message[4]) << 8 | Int(message[5])
    }

    /// The next message of a TCP stream (RFC 1035 4.2.2): as much of it as there is.
    ///
    /// - Parameters:
    ///   - stream: bytes of the stream, of which the first begins a message.
    ///   - offset: where the message begins; becomes where the next one does.
    public static func message(
        in stream: UnsafeRawBufferPointer, at offset: inout Int
    ) -> UnsafeRawBufferPointer? {
        guard offset >= 0, stream.count - offset >= 2 else { return nil }
        let length = Int(stream[offset]) << 8 | Int(stream[offset + 1])
        let start = offset + 2
        let end = min(stream.count, start + length)
        offset = end
        return UnsafeRawBufferPointer(rebasing: stream[start..<end])
    }

    /// Reads the next question.
    ///
    /// - Parameter name: takes the name in presentation form, in lower case: labels with dots between them and none at the end, `.` for the root.
    ///   A dot within a label, spaces and control characters are written as `\DDD`. At least `longestName` bytes.
    public mutating func next(into name: UnsafeMutableRawBufferPointer) -> Step {
        guard left > 0 else { return .end }
        guard name.count >= Self.longestName, let length = readName(into: name),
            message.count - offset >= Self.tailSize
        else {
            left = 0
            return .malformed
        }
        let type = UInt16(message[offset]) << 8 | UInt16(message[offset + 1])
        offset += Self.tailSize
        left -= 1
        return .name(length: length, type: type)
    }

    /// Writes the name at `offset` and moves behind it; `nil` when it is none.
    private mutating func readName(into name: UnsafeMutableRawBufferPointer) -> Int? {
        var position = offset
        var end: Int?
        var pointers = 0
        var wire = 0
        var written = 0
        while position < message.count {
            let length = Int(message[position])
            switch length >> 6 {
            case 0b00 where length == 0:
                offset = end ?? position + 1
                if written > 0 { return written }
                name[0] = UInt8(ascii: ".")
                return 1
            case 0b00:
                guard message.count - position > length, wire + length + 2 <= Self.longestWire else { return nil }
                wire += length + 1
                if written > 0 { Self.write(UInt8(ascii: "."), to: name, &written) }
                for byte in message[position + 1...position + length] { Self.writeInLabel(byte, to: name, &written) }
                position += length + 1
            case 0b11:
                guard message.count - position >= 2, pointers < Self.maximumPointers else { return nil }
                pointers += 1
                if end == nil { end = position + 2 }
                position = (length & 0x3F) << 8 | Int(message[position + 1])
            default: return nil
            }
        }
        return nil
    }

    @inline(__always)
    private static func write(_ byte: UInt8, to name: UnsafeMutableRawBufferPointer, _ written: inout Int) {
        name[written] = byte
        written += 1
    }

    @inline(__always)
    private static func writeInLabel(_ byte: UInt8, to name: UnsafeMutableRawBufferPointer, _ written: inout Int) {
        switch byte {
        case 0x41...0x5A: write(byte | 0x20, to: name, &written)
        case 0...0x20, UInt8(ascii: "."), 0x7F:
            write(UInt8(ascii: "\\"), to: name, &written)
            write(0x30 + byte / 100, to: name, &written)
            write(0x30 + byte / 10 % 10, to: name, &written)
            write(0x30 + byte % 10, to: name, &written)
        default: write(byte, to: name, &written)
        }
    }
}
