/// Reading of the kernel's text formats, on bytes.
package enum ByteText {
    /// A decimal number that fills the whole buffer; nil if it is none or too large.
    static func decimal(_ text: UnsafeRawBufferPointer) -> UInt64? { number(text, radix: 10) }

    /// A hexadecimal number, with or without "0x".
    static func hexadecimal(_ text: UnsafeRawBufferPointer) -> UInt64? {
        if text.count > 2, text[0] == UInt8(ascii: "0"), text[1] == UInt8(ascii: "x") {
            return number(UnsafeRawBufferPointer(rebasing: text[2...]), radix: 16)
        }
        return number(text, radix: 16)
    }

    /// A decimal number with an optional minus sign.
    static func signed(_ text: UnsafeRawBufferPointer) -> Int64? {
        guard let first = text.first else { return nil }
        guard first == UInt8(ascii: "-") else { return decimal(text).flatMap { Int64(exactly: $0) } }
        return decimal(UnsafeRawBufferPointer(rebasing: text[1...])).flatMap { Int64(exactly: $0) }.map { -$0 }
    }

    private static func number(_ text: UnsafeRawBufferPointer, radix: UInt64) -> UInt64? {
        guard !text.isEmpty else { return nil }
        var value: UInt64 = 0
        for byte in text {
            let digit: UInt64
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = UInt64(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = UInt64(byte - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = UInt64(byte - UInt8(ascii: "A") + 10)
            default: return nil
            }
            guard digit < radix else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: radix)
            let (sum, carry) = product.addingReportingOverflow(digit)
            guard !overflow, !carry else { return nil }
            value = sum
        }
        return value
    }

    /// The next field between blanks, taken off the front of `text`; nil at the end.
    static func nextField(_ text: inout UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var start = text.startIndex
        while start < text.endIndex, isBlank(text[start]) { start += 1 }
        var end = start
        while end < text.endIndex, !isBlank(text[end]) { end += 1 }
        let field = UnsafeRawBufferPointer(rebasing: text[start..<end])
        text = UnsafeRawBufferPointer(rebasing: text[end...])
        return field.isEmpty ? nil : field
    }

    /// The rest of `text` after `prefix`; nil if it does not start with it.
    package static func suffix(of text: UnsafeRawBufferPointer, after prefix: StaticString) -> UnsafeRawBufferPointer? {
        let length = prefix.utf8CodeUnitCount
        guard text.count >= length else { return nil }
        let matches = prefix.withUTF8Buffer { literal in
            for index in 0..<length where literal[index] != text[index] { return false }
            return true
        }
        return matches ? UnsafeRawBufferPointer(rebasing: text[length...]) : nil
    }

    static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\n")
    }
}
