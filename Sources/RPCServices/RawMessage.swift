import EventSpool
import GRPCCore

/// A protobuf message that is encoded already: what is in the spool goes out as it is.
package struct RawMessage: Sendable, Hashable {
    /// The encoding.
    package var bytes: [UInt8]

    /// Wraps an encoded message.
    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// `feeder.Alert`, `feeder.Log` or `feeder.Message` with its number, and with what was missed before it. Protobuf lets fields
    /// be appended in any order.
    static func feeder(_ record: RecordView) -> RawMessage {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(record.payload.count + 24)
        bytes.append(contentsOf: record.payload)
        // Fields 1001 and 1003, varints.
        ProtobufBytes.field(1001, record.sequence, to: &bytes)
        ProtobufBytes.field(1003, record.missed, to: &bytes)
        return RawMessage(bytes)
    }
}

/// Pieces of protobuf encoding.
package enum ProtobufBytes {
    /// A varint.
    package static func varint(_ value: UInt64, to bytes: inout [UInt8]) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// How many bytes it takes.
    package static func length(of value: UInt64) -> Int { max(1, (64 - value.leadingZeroBitCount + 6) / 7) }

    /// A varint field, left out when it is 0.
    package static func field(_ number: UInt64, _ value: UInt64, to bytes: inout [UInt8]) {
        guard value != 0 else { return }
        varint(number << 3, to: &bytes)
        varint(value, to: &bytes)
    }

    /// A length-delimited field.
    package static func field(_ number: UInt64, _ value: UnsafeRawBufferPointer, to bytes: inout [UInt8]) {
        varint(number << 3 | 2, to: &bytes)
        varint(UInt64(value.count), to: &bytes)
        bytes.append(contentsOf: value)
    }
}

/// Writes messages that are encoded already.
package struct RawSerializer: MessageSerializer {
    package init() {}
    package func serialize<Bytes: GRPCContiguousBytes>(_ message: RawMessage) throws -> Bytes { Bytes(message.bytes) }
}

/// Leaves messages encoded.
package struct RawDeserializer: MessageDeserializer {
    package init() {}
    package func deserialize<Bytes: GRPCContiguousBytes>(_ serializedMessageBytes: Bytes) throws -> RawMessage {
        RawMessage(serializedMessageBytes.withUnsafeBytes { Array($0) })
    }
}
