/// Writes one JSON object into a byte buffer, on one line and in the order of the calls.
///
/// Strings come out as Go's `encoding/json` prints them (`<`, `>`, `&`, U+2028 and U+2029 escaped, invalid UTF-8 as
/// `\ufffd`); DEL, C1 controls and deceptive characters are escaped too, so a line can be shown on a terminal.
struct JSONLineWriter {
    /// What was written.
    private(set) var bytes: [UInt8]
    private var isFirst = true

    /// Continues `bytes`, normally an empty buffer with capacity.
    init(appendingTo bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func beginObject() {
        bytes.append(UInt8(ascii: "{"))
        isFirst = true
    }

    mutating func endObject() {
        bytes.append(UInt8(ascii: "}"))
        isFirst = false
    }

    /// Opens an object as the value of `key`, which must be given as `"Name":`.
    mutating func beginObject(_ key: StaticString) {
        self.key(key)
        beginObject()
    }

    mutating func integer(_ key: StaticString, _ value: some FixedWidthInteger) {
        self.key(key)
        decimal(value)
    }

    /// Writes an integer that is left out when it is 0.
    mutating func integerIfAny(_ key: StaticString, _ value: some FixedWidthInteger) {
        if value != 0 { integer(key, value) }
    }

    mutating func flagIfTrue(_ key: StaticString, _ value: Bool) {
        guard value else { return }
        self.key(key)
        literal("true")
    }

    mutating func string(_ key: StaticString, _ value: String) {
        self.key(key)
        quoted(value)
    }

    mutating func stringIfAny(_ key: StaticString, _ value: String) {
        if !value.isEmpty { string(key, value) }
    }

    /// Writes a text from outside and returns whether its exact bytes are lost or hard to see, so that a `…Raw` field is due.
    mutating func text(_ key: StaticString, _ value: [UInt8]) -> Bool {
        self.key(key)
        return quoted(value)
    }

    mutating func textIfAny(_ key: StaticString, _ value: [UInt8]) -> Bool {
        value.isEmpty ? false : text(key, value)
    }

    /// Writes `value` without loss and in printable ASCII: other bytes and the backslash as `\xNN`.
    mutating func raw(_ key: StaticString, _ value: [UInt8]) {
        self.key(key)
        bytes.append(UInt8(ascii: "\""))
        for byte in value {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "&"): escape(UInt32(byte))
            case 0x20..<0x7f where byte != UInt8(ascii: "\\"): bytes.append(byte)
            default:
                literal("\\\\x")
                bytes.append(Self.digit(byte >> 4))
                bytes.append(Self.digit(byte & 15))
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    mutating func list(_ key: StaticString, _ values: [String]) {
        self.key(key)
        bytes.append(UInt8(ascii: "["))
        for (index, value) in values.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            quoted(value)
        }
        bytes.append(UInt8(ascii: "]"))
    }

    mutating func null(_ key: StaticString) {
        self.key(key)
        literal("null")
    }

    mutating func map(_ key: StaticString, _ entries: [EventDatum]) {
        beginObject(key)
        for entry in entries {
            separate()
            quoted(entry.key)
            bytes.append(UInt8(ascii: ":"))
            quoted(entry.value)
        }
        endObject()
    }

    /// Writes `key` and an ASCII value that needs no escaping.
    mutating func timestamp(_ key: StaticString, wallClock: UInt64) {
        self.key(key)
        bytes.append(UInt8(ascii: "\""))
        UTCTime(wallClock: wallClock).append(to: &bytes, separator: UInt8(ascii: "T"))
        literal("Z\"")
    }

    // MARK: - Pieces

    private mutating func separate() {
        if isFirst { isFirst = false } else { bytes.append(UInt8(ascii: ",")) }
    }

    private mutating func key(_ key: StaticString) {
        separate()
        literal(key)
    }

    private mutating func literal(_ text: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func decimal<Value: FixedWidthInteger>(_ value: Value) {
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        var rest = UInt64(value.magnitude)
        var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)
        withUnsafeMutableBytes(of: &digits) { buffer in
            var start = buffer.count
            repeat {
                start -= 1
                buffer[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest != 0
            bytes.append(contentsOf: buffer[start...])
        }
    }

    private mutating func quoted(_ value: String) {
        var value = value
        _ = value.withUTF8 { quoted($0) }
    }

    private mutating func quoted(_ value: [UInt8]) -> Bool {
        value.withUnsafeBufferPointer { quoted($0) }
    }

    /// Bit set for the ASCII bytes that JSON and HTML readers take literally, from 0 up and from 64 up.
    private static var plainLow: UInt64 {
        var mask: UInt64 = 0xffff_ffff_0000_0000
        for byte in [UInt8(ascii: "\""), UInt8(ascii: "&"), UInt8(ascii: "<"), UInt8(ascii: ">")] {
            mask &= ~(1 << UInt64(byte))
        }
        return mask
    }
    private static var plainHigh: UInt64 { 0x7fff_ffff_ffff_ffff & ~(1 << UInt64(UInt8(ascii: "\\") - 64)) }
    private static let plain: (low: UInt64, high: UInt64) = (plainLow, plainHigh)

    private mutating func quoted(_ value: UnsafeBufferPointer<UInt8>) -> Bool {
        let plain = Self.plain
        var needsRaw = false
        var index = 0
        var clean = 0
        bytes.append(UInt8(ascii: "\""))
        while index < value.count {
            let byte = value[index]
            if byte < 0x80, (byte < 64 ? plain.low >> UInt64(byte) : plain.high >> UInt64(byte & 63)) & 1 == 1 {
                index += 1
                continue
            }
            let (found, length) = ScalarScanner.classify(value, at: index)
            if case .plain = found, byte >= 0x80 {
                index += length
                continue
            }
            bytes.append(contentsOf: value[clean..<index])
            switch found {
            case .plain: escape(UInt32(byte))
            case .deceptive(let scalar): escape(scalar)
            case .control(let scalar):
                needsRaw = true
                escape(scalar)
            case .invalid:
                needsRaw = true
                escape(0xfffd)
            }
            index += length
            clean = index
        }
        bytes.append(contentsOf: value[clean...])
        bytes.append(UInt8(ascii: "\""))
        return needsRaw
    }

    private mutating func escape(_ scalar: UInt32) {
        switch scalar {
        case 0x22: literal("\\\"")
        case 0x5c: literal("\\\\")
        case 0x08: literal("\\b")
        case 0x09: literal("\\t")
        case 0x0a: literal("\\n")
        case 0x0c: literal("\\f")
        case 0x0d: literal("\\r")
        case 0x10000...:
            // RFC 8259 section 7: a surrogate pair.
            let rest = scalar - 0x10000
            unit(UInt16(0xd800 + (rest >> 10)))
            unit(UInt16(0xdc00 + (rest & 0x3ff)))
        default: unit(UInt16(truncatingIfNeeded: scalar))
        }
    }

    private mutating func unit(_ unit: UInt16) {
        literal("\\u")
        for shift in [UInt16(12), 8, 4, 0] { bytes.append(Self.digit(UInt8(unit >> shift & 15))) }
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }
}
