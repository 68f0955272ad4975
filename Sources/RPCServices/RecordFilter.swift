import EventSpool
import GRPCCore

/// Field names and texts that they must contain, compared on encoded records: there is no pattern language, so there is no
/// pattern that costs more than another.
package struct RecordFilter: Sendable {
    /// Most conditions.
    package static let limit = 16
    /// Longest text.
    package static let textLimit = 1024

    private struct Condition: Sendable {
        var alert: UInt64?
        var log: UInt64?
        var text: [UInt8]
    }
    private let conditions: [Condition]
    /// Agents of which one it has to come from, by the name that a relay gives; empty for all.
    private let agents: Set<[UInt8]>

    /// Numbers of the fields that hold a text, in `feeder.Alert` and `feeder.Log`.
    private static let fields: [String: (alert: UInt64?, log: UInt64?)] = {
        var fields: [String: (alert: UInt64?, log: UInt64?)] = [:]
        let both = [
            "UpdatedTime", "ClusterName", "HostName", "NamespaceName", "PodName", "ContainerID", "ContainerName",
        ]
        for (index, name) in both.enumerated() { fields[name] = (UInt64(index + 2), UInt64(index + 2)) }
        for (name, number) in [
            ("PolicyName", 13), ("Severity", 14), ("Tags", 15), ("Message", 16), ("Action", 22), ("Enforcer", 28),
            ("KubeArmorVersion", 37), ("ResourceAlias", 1007),
        ] as [(String, UInt64)] { fields[name] = (number, nil) }
        for (name, alert, log) in [
            ("Type", 17, 13), ("Source", 18, 14), ("Operation", 19, 15), ("Resource", 20, 16), ("Data", 21, 17),
            ("Result", 23, 18), ("ContainerImage", 24, 19), ("ParentProcessName", 25, 20), ("ProcessName", 26, 21),
            ("Labels", 29, 23), ("Cwd", 32, 25), ("TTY", 33, 26), ("NodeID", 38, 28), ("UserName", 44, 34),
            ("Agent", 1012, 1012),
        ] as [(String, UInt64, UInt64)] { fields[name] = (alert, log) }
        return Dictionary(uniqueKeysWithValues: fields.map { ($0.key.lowercased(), $0.value) })
    }()

    /// Creates a filter; all conditions must hold.
    ///
    /// - Throws: for a field that is not known, or too much of anything.
    package init(_ texts: [String: String], agents: [String] = []) throws(RPCError) {
        guard agents.count <= 1000 else { throw RPCError(code: .invalidArgument, message: "more than 1000 agents") }
        self.agents = Set(agents.map { Array($0.utf8) })
        guard texts.count <= Self.limit else {
            throw RPCError(code: .invalidArgument, message: "more than \(Self.limit) conditions")
        }
        var conditions: [Condition] = []
        for (name, text) in texts {
            guard let field = Self.fields[name.lowercased()] else {
                throw RPCError(code: .invalidArgument, message: "no field '\(name.prefix(64))' to filter by")
            }
            guard text.utf8.count <= Self.textLimit else {
                throw RPCError(code: .invalidArgument, message: "a filter text longer than \(Self.textLimit) bytes")
            }
            conditions.append(Condition(alert: field.alert, log: field.log, text: text.utf8.map(Self.lower)))
        }
        self.conditions = conditions
    }

    /// Whether nothing is filtered.
    package var isEmpty: Bool { conditions.isEmpty && agents.isEmpty }

    /// Whether every condition holds. Letters of ASCII are compared without regard to case.
    package func matches(_ record: RecordView) -> Bool {
        guard agents.isEmpty || isFromOne(record) else { return false }
        return conditions.allSatisfy { condition in
            guard let field = record.kind == .log ? condition.log : record.kind == .alert ? condition.alert : nil else {
                return false
            }
            var found = false
            ProtobufScan.strings(record.payload) { number, value in
                if number == field, Self.contains(value, condition.text) { found = true }
            }
            return found
        }
    }

    private func isFromOne(_ record: RecordView) -> Bool {
        var found = false
        ProtobufScan.strings(record.payload) { number, value in
            if number == 1012 { found = agents.contains(Array(value)) }
        }
        return found
    }

    private static func lower(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte + 32 : byte
    }

    private static func contains(_ value: UnsafeRawBufferPointer, _ text: [UInt8]) -> Bool {
        guard text.count <= value.count else { return false }
        if text.isEmpty { return true }
        for start in 0...(value.count - text.count) where lower(value[start]) == text[0] {
            var length = 1
            while length < text.count, lower(value[start + length]) == text[length] { length += 1 }
            if length == text.count { return true }
        }
        return false
    }
}

/// Walks the fields of an encoded protobuf message.
package enum ProtobufScan {
    /// A field's value, as it is encoded.
    package enum Value {
        case number(UInt64)
        case bytes(UnsafeRawBufferPointer)
    }

    /// Calls `body` with every field of the message itself; stops at what is no protobuf. Fields of a fixed width are left out.
    package static func fields(_ message: UnsafeRawBufferPointer, _ body: (UInt64, Value) -> Void) {
        var index = 0
        while index < message.count {
            guard let tag = varint(message, &index) else { return }
            switch tag & 7 {
            case 0:
                guard let value = varint(message, &index) else { return }
                body(tag >> 3, .number(value))
            case 1: index += 8
            case 5: index += 4
            case 2:
                guard let length = varint(message, &index), length <= UInt64(message.count - index) else { return }
                body(tag >> 3, .bytes(UnsafeRawBufferPointer(rebasing: message[index..<(index + Int(length))])))
                index += Int(length)
            default: return
            }
        }
    }

    /// Calls `body` with every length-delimited field.
    package static func strings(_ message: UnsafeRawBufferPointer, _ body: (UInt64, UnsafeRawBufferPointer) -> Void) {
        fields(message) { number, value in if case .bytes(let bytes) = value { body(number, bytes) } }
    }

    /// Reads a varint and moves behind it; `nil` when there is none.
    package static func varint(_ message: UnsafeRawBufferPointer, _ index: inout Int) -> UInt64? {
        var (value, shift): (UInt64, UInt64) = (0, 0)
        while index < message.count, shift < 64 {
            let byte = message[index]
            index += 1
            value |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
        return nil
    }
}
