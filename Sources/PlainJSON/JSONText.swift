/// A JSON value (RFC 8259), read strictly: one value, UTF-8, no key twice, nothing behind it. For programs that are to be without Foundation.
package enum JSONText: Equatable {
    case null
    case bool(Bool)
    /// As it was written.
    case number(String)
    case text(String)
    case array([JSONText])
    case object([String: JSONText])

    /// Values within values at most.
    package static let depthLimit = 32

    /// Reads a whole text; `nil` when it is no JSON value.
    package init?(parsing bytes: [UInt8]) {
        var parser = Parser(bytes: bytes)
        guard let value = parser.value(depth: 0), parser.isAtEnd else { return nil }
        self = value
    }

    /// A member of an object; `nil` when it has none of this name, or is none.
    package subscript(name: String) -> JSONText? {
        if case .object(let members) = self { return members[name] }
        return nil
    }

    /// The string, if it is one.
    package var text: String? {
        if case .text(let text) = self { return text }
        return nil
    }

    /// The truth value, if it is one.
    package var truth: Bool? {
        if case .bool(let value) = self { return value }
        return nil
    }

    /// The number as it was written, if it is one.
    package var number: String? {
        if case .number(let text) = self { return text }
        return nil
    }

    /// The number, if it is a whole one of 0 up to 2^64.
    package var unsigned: UInt64? { number.flatMap { UInt64($0) } }

    /// The strings of an array of them.
    package var texts: [String]? { all(\.text) }

    /// The numbers of an array of bytes.
    package var bytes: [UInt8]? { all { $0.number.flatMap { UInt8($0) } } }

    private func all<Element>(_ read: (JSONText) -> Element?) -> [Element]? {
        guard case .array(let items) = self else { return nil }
        let elements = items.compactMap(read)
        return elements.count == items.count ? elements : nil
    }

    /// As it is written: in one line, members in the order of their names.
    package var written: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .number(let text): text
        case .text(let text): Self.quoted(text)
        case .array(let items): "[" + items.map(\.written).joined(separator: ",") + "]"
        case .object(let members):
            "{"
                + members.sorted { $0.key < $1.key }.map { "\(Self.quoted($0.key)):\($0.value.written)" }
                .joined(separator: ",") + "}"
        }
    }

    /// A string with its quotes, everything escaped that has to be.
    package static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case "\n": result += "\\n"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    private struct Parser {
        let bytes: [UInt8]
        var place = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        var isAtEnd: Bool {
            mutating get {
                skipSpace()
                return place == bytes.count
            }
        }

        private var next: UInt8? { place < bytes.count ? bytes[place] : nil }

        private mutating func skipSpace() {
            while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { place += 1 }
        }

        private mutating func take(_ byte: Character) -> Bool {
            skipSpace()
            guard let wanted = byte.asciiValue, next == wanted else { return false }
            place += 1
            return true
        }

        private mutating func take(word: StaticString) -> Bool {
            let isThere = bytes[place...].starts(
                with: UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
            if isThere { place += word.utf8CodeUnitCount }
            return isThere
        }

        mutating func value(depth: Int) -> JSONText? {
            guard depth < JSONText.depthLimit else { return nil }
            skipSpace()
            switch next {
            case UInt8(ascii: "{"): return object(depth: depth + 1)
            case UInt8(ascii: "["): return array(depth: depth + 1)
            case UInt8(ascii: "\""): return string().map { .text($0) }
            case UInt8(ascii: "t"): return take(word: "true") ? .bool(true) : nil
            case UInt8(ascii: "f"): return take(word: "false") ? .bool(false) : nil
            case UInt8(ascii: "n"): return take(word: "null") ? .null : nil
            default: return number()
            }
        }

        private mutating func object(depth: Int) -> JSONText? {
            place += 1
            var members: [String: JSONText] = [:]
            if take("}") { return .object(members) }
            repeat {
                skipSpace()
                guard let name = string(), take(":"), let value = value(depth: depth), members[name] == nil else {
                    return nil
                }
                members[name] = value
            } while take(",")
            return take("}") ? .object(members) : nil
        }

        private mutating func array(depth: Int) -> JSONText? {
            place += 1
            var items: [JSONText] = []
            if take("]") { return .array(items) }
            repeat {
                guard let value = value(depth: depth) else { return nil }
                items.append(value)
            } while take(",")
            return take("]") ? .array(items) : nil
        }

        /// -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?
        private mutating func number() -> JSONText? {
            let start = place
            if next == UInt8(ascii: "-") { place += 1 }
            if next == UInt8(ascii: "0") { place += 1 } else if !digits() { return nil }
            if next == UInt8(ascii: ".") {
                place += 1
                guard digits() else { return nil }
            }
            if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
                place += 1
                if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { place += 1 }
                guard digits() else { return nil }
            }
            return .number(String(decoding: bytes[start..<place], as: UTF8.self))
        }

        private mutating func digits() -> Bool {
            let start = place
            while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { place += 1 }
            return place > start
        }

        private mutating func string() -> String? {
            guard next == UInt8(ascii: "\"") else { return nil }
            place += 1
            var result: [UInt8] = []
            while let byte = next {
                place += 1
                switch byte {
                case UInt8(ascii: "\""): return String(validating: result, as: UTF8.self)
                case UInt8(ascii: "\\"):
                    guard let scalar = escaped() else { return nil }
                    result += Array(String(scalar).utf8)
                case 0..<0x20: return nil
                default: result.append(byte)
                }
            }
            return nil
        }

        private mutating func escaped() -> Unicode.Scalar? {
            guard let byte = next else { return nil }
            place += 1
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
            case UInt8(ascii: "b"): return "\u{8}"
            case UInt8(ascii: "f"): return "\u{C}"
            case UInt8(ascii: "n"): return "\n"
            case UInt8(ascii: "r"): return "\r"
            case UInt8(ascii: "t"): return "\t"
            case UInt8(ascii: "u"):
                guard let first = hexadecimal() else { return nil }
                guard UTF16.isLeadSurrogate(first) else { return Unicode.Scalar(first) }
                guard take(word: "\\u"), let second = hexadecimal(), UTF16.isTrailSurrogate(second) else { return nil }
                return Unicode.Scalar(
                    0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00))
            default: return nil
            }
        }

        private mutating func hexadecimal() -> UInt16? {
            guard place + 4 <= bytes.count else { return nil }
            let digits = bytes[place..<place + 4]
            let isHexadecimal = digits.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                    UInt8(ascii: "A")...UInt8(ascii: "F"):
                    true
                default: false
                }
            }
            guard isHexadecimal else { return nil }
            place += 4
            return UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
        }
    }
}
