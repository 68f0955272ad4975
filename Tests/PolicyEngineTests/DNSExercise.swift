@testable import PolicyEngine

/// What must hold of every message that `DNSQuestions` reads. FuzzTesting has a link to this file.
enum DNSExercise {
    /// Reads a message, also as a stream of messages; says what must not be, or `nil`.
    static func violation(_ bytes: [UInt8]) -> String? {
        bytes.withUnsafeBytes { whole in
            var offset = 0
            var count = 0
            while let message = DNSQuestions.message(in: whole, at: &offset) {
                count += 1
                if count > bytes.count { return "a stream without end" }
                if let problem = violation(of: message) { return problem }
            }
            return violation(of: whole)
        }
    }

    private static func violation(of message: UnsafeRawBufferPointer) -> String? {
        let (names, isWhole) = read(message)
        let expected = reference(Array(message))
        guard names == expected.names, isWhole == expected.isWhole else {
            return "\(names) \(isWhole) is not \(expected)"
        }
        for name in names {
            if name.isEmpty || name.count > DNSQuestions.longestName { return "a name of \(name.count) bytes" }
            if name.contains(where: { $0 <= 0x20 || $0 == 0x7F || (0x41...0x5A).contains($0) }) {
                return "a character that names do not have"
            }
        }
        return nil
    }

    /// The names of a message, and whether all of it was read.
    static func read(_ message: UnsafeRawBufferPointer) -> (names: [[UInt8]], isWhole: Bool) {
        guard var questions = DNSQuestions(message) else { return ([], false) }
        var names: [[UInt8]] = []
        var room = [UInt8](repeating: 0, count: DNSQuestions.longestName)
        while true {
            switch room.withUnsafeMutableBytes({ questions.next(into: $0) }) {
            case .name(let length, _): names.append(Array(room.prefix(length)))
            case .end: return (names, true)
            case .malformed: return (names, false)
            }
        }
    }

    /// The same, written once more and for clarity alone.
    private static func reference(_ message: [UInt8]) -> (names: [[UInt8]], isWhole: Bool) {
        guard message.count >= 12, message[2] < 128 else { return ([], false) }
        var names: [[UInt8]] = []
        var position = 12
        for _ in 0..<(Int(message[4]) * 256 + Int(message[5])) {
            guard let (labels, after) = labels(message, position, room: 255, pointers: 0), after + 4 <= message.count
            else { return (names, false) }
            names.append(labels.isEmpty ? Array(".".utf8) : Array(labels.map(text).joined(separator: [0x2E])))
            position = after + 4
        }
        return (names, true)
    }

    /// - Parameter room: bytes that the rest of the name may have.
    private static func labels(
        _ message: [UInt8], _ start: Int, room: Int, pointers: Int
    ) -> (labels: [[UInt8]], after: Int)? {
        guard start < message.count, room > 0 else { return nil }
        let length = Int(message[start])
        if length == 0 { return ([], start + 1) }
        if length >= 192 {
            guard pointers < 127, start + 1 < message.count,
                let (rest, _) = labels(
                    message, (length - 192) * 256 + Int(message[start + 1]), room: room, pointers: pointers + 1)
            else { return nil }
            return (rest, start + 2)
        }
        guard length < 64, start + length < message.count,
            let (rest, after) = labels(message, start + 1 + length, room: room - length - 1, pointers: pointers)
        else { return nil }
        return ([Array(message[(start + 1)...(start + length)])] + rest, after)
    }

    private static func text(_ label: [UInt8]) -> [UInt8] {
        label.flatMap { byte -> [UInt8] in
            if byte <= 32 || byte == 127 || byte == 46 {
                let digits = String(byte)
                return Array(("\\" + String(repeating: "0", count: 3 - digits.count) + digits).utf8)
            }
            return [byte >= 65 && byte <= 90 ? byte + 32 : byte]
        }
    }
}
