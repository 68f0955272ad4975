import PolicyModel

/// A cheap look at the bytes before a parser sees them: what could exhaust memory or stack is refused here.
struct LexicalScan {
    let file: String
    let limits: LoadingLimits

    /// The first problem, or `nil`.
    func problem(_ bytes: [UInt8]) -> Diagnostic? {
        if bytes.count > limits.fileBytes {
            return at(1, 1, "the file is larger than \(limits.fileBytes) bytes")
        }
        return encodingProblem(bytes) ?? tabProblem(bytes) ?? nestingProblem(bytes)
    }

    private func at(_ line: Int, _ column: Int, _ message: String) -> Diagnostic {
        Diagnostic(position: SourcePosition(file: file, line: line, column: column), message: message)
    }

    private func encodingProblem(_ bytes: [UInt8]) -> Diagnostic? {
        var line = 1
        var column = 1
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte == 0 { return at(line, column, "a NUL byte is not permitted") }
            if byte < 0x80 {
                index += 1
                if byte == UInt8(ascii: "\n") {
                    line += 1
                    column = 1
                } else {
                    column += 1
                }
                continue
            }
            let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2
            guard byte >= 0xC2, byte < 0xF5, index + length <= bytes.count,
                String(validating: bytes[index..<index + length], as: UTF8.self) != nil
            else { return at(line, column, "not valid UTF-8") }
            index += length
            column += 1
        }
        return nil
    }

    /// Tabs between tokens of block style, which the API server's parser refuses and ours would take.
    private func tabProblem(_ bytes: [UInt8]) -> Diagnostic? {
        guard bytes.contains(UInt8(ascii: "\t")) else { return nil }
        var line = 1
        var column = 0
        var flow = 0
        var quote: UInt8?
        var inComment = false
        var previous = UInt8(ascii: "\n")
        for byte in bytes {
            column += 1
            switch byte {
            case UInt8(ascii: "\n"):
                line += 1
                column = 0
                inComment = false
            case _ where inComment: break
            case _ where quote != nil:
                if byte == quote && previous != UInt8(ascii: "\\") { quote = nil }
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                if [
                    UInt8(ascii: " "), UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: ","), UInt8(ascii: ":"),
                    UInt8(ascii: "\n"), UInt8(ascii: "\t"),
                ].contains(previous) {
                    quote = byte
                }
            case UInt8(ascii: "#") where [UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n")].contains(previous):
                inComment = true
            case UInt8(ascii: "["), UInt8(ascii: "{"): flow += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"): flow = max(0, flow - 1)
            case UInt8(ascii: "\t") where flow == 0:
                return at(line, column, "not YAML: a tab where only spaces are permitted")
            default: break
            }
            previous = byte
        }
        return nil
    }

    /// Bounds the nesting that brackets and indentation can make; the parser recurses that deep.
    private func nestingProblem(_ bytes: [UInt8]) -> Diagnostic? {
        var line = 1
        for text in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            var flow = 0
            var dashes = 0
            var seenContent = false
            for (offset, byte) in text.enumerated() {
                switch byte {
                case UInt8(ascii: "["), UInt8(ascii: "{"): flow += 1
                case UInt8(ascii: "-") where !seenContent: dashes += 1
                case UInt8(ascii: " "): break
                case UInt8(ascii: "?") where !seenContent: dashes += 1
                default: seenContent = true
                }
                if flow > 4 * limits.depth || dashes > limits.depth {
                    return at(line, offset + 1, "nested more than \(limits.depth) levels deep")
                }
            }
            line += 1
        }
        return openBrackets(bytes)
    }

    /// Brackets over several lines, as in JSON.
    private func openBrackets(_ bytes: [UInt8]) -> Diagnostic? {
        var depth = 0
        var quote: UInt8?
        var line = 1
        var isEscaped = false
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                line += 1
                if quote == UInt8(ascii: "'") { quote = nil }
            }
            if let open = quote {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\"), open == UInt8(ascii: "\"") {
                    isEscaped = true
                } else if byte == open {
                    quote = nil
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): quote = byte
            case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"): depth = max(0, depth - 1)
            default: break
            }
            // Text in plain scalars may hold brackets too, so this bound is wide; the exact one is on the tree.
            if depth > 8 * limits.depth { return at(line, 1, "nested more than \(limits.depth) levels deep") }
        }
        return nil
    }
}
