import EventSpool
import RPCServices

/// Whether an agent's record is one that every client can read. A client whose stream carries one broken message may end it, so one
/// agent that was taken over could silence all others.
enum RecordCheck {
    /// How a field of a record is encoded.
    private enum Shape { case number, text, message, texts, bytes }

    private static let limit = 256 << 10

    /// Whether the payload is a `feeder.Alert`, `feeder.Log` or `feeder.Message`, whole and with valid texts.
    static func isSound(_ kind: SpoolKind, _ payload: UnsafeRawBufferPointer) -> Bool {
        guard payload.count <= limit else { return false }
        return check(payload) { number in shape(kind, number) }
    }

    private static func shape(_ kind: SpoolKind, _ number: UInt64) -> Shape? {
        switch (kind, number) {
        // A relay's to set.
        case (_, 1001), (_, 1003), (_, 1012), (_, 1013): return nil
        case (_, 1): return .number
        case (.message, 2...8): return .text
        case (.message, _): return nil
        case (_, 9...12), (_, 1004...1006), (_, 1008...1010): return .number
        case (_, 1011): return .bytes
        case (_, 2...8), (_, 1007): return .text
        case (.alert, 27), (.alert, 34), (.alert, 35): return .number
        case (.alert, 31), (.alert, 36): return .message
        case (.alert, 43): return .texts
        case (.alert, 13...44): return .text
        case (.log, 22): return .number
        case (.log, 24), (.log, 27): return .message
        case (.log, 33): return .texts
        case (.log, 13...34): return .text
        default: return nil
        }
    }

    private static func check(_ message: UnsafeRawBufferPointer, _ shape: (UInt64) -> Shape?) -> Bool {
        var index = 0
        while index < message.count {
            guard let tag = ProtobufScan.varint(message, &index), let shape = shape(tag >> 3) else { return false }
            if shape == .number {
                guard tag & 7 == 0, ProtobufScan.varint(message, &index) != nil else { return false }
                continue
            }
            guard tag & 7 == 2, let length = ProtobufScan.varint(message, &index),
                length <= UInt64(message.count - index)
            else {
                return false
            }
            let value = UnsafeRawBufferPointer(rebasing: message[index..<(index + Int(length))])
            index += Int(length)
            switch shape {
            case .number: return false
            case .text: guard isText(value) else { return false }
            // Owner, ExecEvent and the map's entries: texts only.
            case .message, .texts: guard check(value, { (1...3).contains($0) ? .text : nil }) else { return false }
            case .bytes: guard isRawEntry(value) else { return false }
            }
        }
        return true
    }

    /// An entry of `Raw`: a name, and bytes of any kind.
    private static func isRawEntry(_ entry: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        while index < entry.count {
            guard let tag = ProtobufScan.varint(entry, &index), tag == 1 << 3 | 2 || tag == 2 << 3 | 2,
                let length = ProtobufScan.varint(entry, &index), length <= UInt64(entry.count - index)
            else { return false }
            let value = UnsafeRawBufferPointer(rebasing: entry[index..<(index + Int(length))])
            if tag >> 3 == 1, !isText(value) { return false }
            index += Int(length)
        }
        return true
    }

    private static func isText(_ value: UnsafeRawBufferPointer) -> Bool {
        if value.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) { return true }
        return String(validating: value, as: UTF8.self) != nil
    }
}
