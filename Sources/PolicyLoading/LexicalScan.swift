import PolicyModel

/// A cheap look at the bytes before a parser sees them: their number and their encoding.
///
/// The parser itself ends at 1 000 levels (libyaml's MAX_NESTING_LEVEL), which fits 2 MiB of stack even unoptimized; the limit of
/// `LoadingLimits` is checked on the tree. Brackets cannot be counted here: only the parser knows which ones are text.
struct LexicalScan {
    let file: String
    let limits: LoadingLimits

    /// The first problem, or `nil`.
    func problem(_ bytes: [UInt8]) -> Diagnostic? {
        if bytes.count > limits.fileBytes {
            return at(1, 1, "the file is larger than \(limits.fileBytes) bytes")
        }
        if let problem = encodingProblem(bytes) { return problem }
        return TabScan.first(in: bytes).map {
            at($0.line, $0.column, "not YAML: a tab where only spaces are permitted")
        }
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
}
