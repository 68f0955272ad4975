/// Writes fields of one protobuf message. Values of proto3's default are left out, as every generator does.
///
/// The core has no use for a protobuf library: it writes two kinds of messages and reads none.
struct ProtobufWriter {
    /// What was written.
    private(set) var bytes: [UInt8]
    private static let digits = Array("0123456789abcdef".utf8)

    /// Continues `bytes`.
    init(appendingTo bytes: [UInt8] = []) { self.bytes = bytes }

    mutating func unsigned(_ field: UInt32, _ value: UInt64) {
        guard value != 0 else { return }
        varint(UInt64(field) << 3)
        varint(value)
    }

    /// int32 and int64: negative numbers take ten bytes.
    mutating func signed(_ field: UInt32, _ value: some FixedWidthInteger & SignedInteger) {
        unsigned(field, UInt64(bitPattern: Int64(value)))
    }

    mutating func flag(_ field: UInt32, _ value: Bool) { unsigned(field, value ? 1 : 0) }

    /// A text of ours or from a policy.
    mutating func string(_ field: UInt32, _ value: String) {
        var value = value
        _ = value.withUTF8 { text(field, $0) }
    }

    /// A text from outside. Returns whether its exact bytes are not what was written.
    mutating func text(_ field: UInt32, _ value: [UInt8]) -> Bool { value.withUnsafeBufferPointer { text(field, $0) } }

    mutating func data(_ field: UInt32, _ value: [UInt8]) {
        guard !value.isEmpty else { return }
        lengthDelimited(field, value.count)
        bytes.append(contentsOf: value)
    }

    /// An embedded message, also an empty one.
    mutating func message(_ field: UInt32, _ body: (inout ProtobufWriter) -> Void) {
        var inner = ProtobufWriter()
        body(&inner)
        lengthDelimited(field, inner.bytes.count)
        bytes.append(contentsOf: inner.bytes)
    }

    // MARK: - Pieces

    private mutating func lengthDelimited(_ field: UInt32, _ length: Int) {
        varint(UInt64(field) << 3 | 2)
        varint(UInt64(length))
    }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// A reader may show a string on a terminal as it is, so what would be dangerous there is shown as `\xNN` and `\u{…}`.
    private mutating func text(_ field: UInt32, _ value: UnsafeBufferPointer<UInt8>) -> Bool {
        guard value.count > 0 else { return false }
        guard let first = Self.firstUnsafe(value) else {
            lengthDelimited(field, value.count)
            bytes.append(contentsOf: value)
            return false
        }
        var safe = Array(value[..<first])
        var index = first
        while index < value.count {
            let (found, length) = ScalarScanner.classify(value, at: index)
            let piece = value[index..<index + length]
            switch found {
            case .plain: safe.append(contentsOf: piece)
            case .control, .invalid:
                for byte in piece {
                    safe += [UInt8(ascii: "\\"), UInt8(ascii: "x")]
                    safe += [Self.digits[Int(byte >> 4)], Self.digits[Int(byte & 15)]]
                }
            case .deceptive(let scalar): safe += Array("\\u{\(String(scalar, radix: 16))}".utf8)
            }
            index += length
        }
        lengthDelimited(field, safe.count)
        bytes.append(contentsOf: safe)
        return true
    }

    private static func firstUnsafe(_ value: UnsafeBufferPointer<UInt8>) -> Int? {
        var index = 0
        while index < value.count {
            if value[index] >= 0x20, value[index] < 0x7f {
                index += 1
                continue
            }
            let (found, length) = ScalarScanner.classify(value, at: index)
            guard case .plain = found else { return index }
            index += length
        }
        return nil
    }
}
