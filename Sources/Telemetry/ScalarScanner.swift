/// Looks at bytes that claim to be UTF-8, one character at a time. Everything that makes text dangerous to a reader or
/// a terminal is told apart here, once, for the JSON and for the text output.
enum ScalarScanner {
    /// What stands at a position.
    enum Found {
        /// Fit to print as it is.
        case plain
        /// C0, DEL or C1.
        case control(UInt32)
        /// Invisible or direction-changing: it can make a text look like another one.
        case deceptive(UInt32)
        /// No UTF-8.
        case invalid
    }

    /// Classifies the character that starts at `index` (which must be in bounds) and says how many bytes it takes; an
    /// invalid sequence takes its longest well-formed beginning, at least one byte (Unicode 16.0, section 3.9, U+FFFD substitution).
    @inline(__always)
    static func classify(_ bytes: UnsafeBufferPointer<UInt8>, at index: Int) -> (found: Found, length: Int) {
        let first = bytes[index]
        if first < 0x80 {
            return (first < 0x20 || first == 0x7f ? .control(UInt32(first)) : .plain, 1)
        }
        return classifyMultibyte(bytes, at: index, first: first)
    }

    private static func classifyMultibyte(
        _ bytes: UnsafeBufferPointer<UInt8>, at index: Int, first: UInt8
    ) -> (found: Found, length: Int) {
        // Table 3-7 of the Unicode standard: the second byte's range depends on the first byte.
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xbf
        switch first {
        case 0xc2...0xdf: length = 2
        case 0xe0: (length, second) = (3, 0xa0...0xbf)
        case 0xed: (length, second) = (3, 0x80...0x9f)
        case 0xe1...0xef: length = 3
        case 0xf0: (length, second) = (4, 0x90...0xbf)
        case 0xf1...0xf3: length = 4
        case 0xf4: (length, second) = (4, 0x80...0x8f)
        default: return (.invalid, 1)
        }
        var scalar = UInt32(first) & (0x7f >> UInt32(length))
        for offset in 1..<length {
            guard index + offset < bytes.count else { return (.invalid, offset) }
            let byte = bytes[index + offset]
            guard (offset == 1 ? second : 0x80...0xbf).contains(byte) else { return (.invalid, offset) }
            scalar = scalar << 6 | UInt32(byte & 0x3f)
        }
        if scalar < 0xa0 { return (.control(scalar), length) }
        return (isDeceptive(scalar) ? .deceptive(scalar) : .plain, length)
    }

    /// Bidirectional controls, zero-width characters, line and paragraph separators, tags, annotation anchors.
    private static func isDeceptive(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0xad, 0x61c, 0x180e, 0x200b...0x200f, 0x2028...0x202e, 0x2060...0x206f, 0xfeff, 0xfff9...0xfffb,
            0xe0000...0xe007f:
            true
        default:
            false
        }
    }

    /// The longest beginning of `bytes` with at most `limit` bytes that does not cut a character in two.
    static func prefix(_ bytes: [UInt8], limit: Int) -> ArraySlice<UInt8> {
        guard bytes.count > limit else { return bytes[...] }
        var end = max(0, limit)
        // At most three steps back, to the lead byte; anything longer is no UTF-8 and may be cut anywhere.
        for back in 0..<min(4, end + 1) where bytes[end - back] & 0xc0 != 0x80 {
            end -= back
            break
        }
        return bytes[..<end]
    }
}
