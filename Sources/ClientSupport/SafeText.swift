/// Text of unknown origin (paths, arguments, messages of policies) made harmless for a terminal.
///
/// A process chooses its own file names, so an alert may carry escape sequences that rewrite the screen, or bidirectional
/// controls that show a path in another order than it has.
package enum SafeText {
    /// Every control character as `\xNN`, every invisible or reordering one as `\u{…}` in four hexadecimal digits.
    package static func line(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isUnsafe) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if !isUnsafe(scalar) {
                result.unicodeScalars.append(scalar)
            } else if scalar.value < 0x100 {
                result += "\\x" + hexadecimal(scalar.value, digits: 2)
            } else {
                result += "\\u" + hexadecimal(scalar.value, digits: 4)
            }
        }
        return result
    }

    /// JSON text with the same characters as JSON escapes: the same value for a parser, and always one line.
    package static func json(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isUnsafe) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            guard isUnsafe(scalar) else {
                result.unicodeScalars.append(scalar)
                continue
            }
            for unit in String(scalar).utf16 { result += "\\u" + hexadecimal(UInt32(unit), digits: 4) }
        }
        return result
    }

    /// C0, DEL, C1; line and paragraph separators; bidirectional, zero-width and tag characters.
    package static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x61C, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xFEFF, 0xFFF9...0xFFFB,
            0xE0000...0xE007F:
            true
        default: false
        }
    }

    private static func hexadecimal(_ value: UInt32, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
