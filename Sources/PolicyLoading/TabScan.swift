import PolicyModel

/// Finds tabs between tokens of block style. YAML's reference parsers and most readers refuse them, libyaml takes some of them:
/// a file must not be a policy here and garbage elsewhere. Tabs inside quotes, comments, texts in block style (`|`, `>`) and
/// brackets, as in JSON, are fine.
struct TabScan {
    /// Line and column, from 1, of the first one.
    static func first(in bytes: [UInt8]) -> (line: Int, column: Int)? {
        guard bytes.contains(UInt8(ascii: "\t")) else { return nil }
        var scan = TabScan()
        for (number, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated()
        {
            if let column = scan.column(in: line) { return (number + 1, column) }
        }
        return nil
    }

    /// Brackets that are open.
    private var flow = 0
    /// The quote that is open.
    private var quote: UInt8?
    /// Indentation of the line whose text in block style goes on.
    private var blockIndentation: Int?

    private mutating func column(in line: ArraySlice<UInt8>) -> Int? {
        let blank = line.prefix { $0 == UInt8(ascii: " ") }.count
        if let indentation = blockIndentation {
            if blank > indentation || line.allSatisfy({ Self.isBlank($0) }) { return nil }
            blockIndentation = nil
        }
        var previous = UInt8(ascii: "\n")
        var last = previous
        var indicator = previous
        for (offset, byte) in line.enumerated() {
            defer { previous = byte }
            if let open = quote {
                if byte == open, open == UInt8(ascii: "'") || previous != UInt8(ascii: "\\") { quote = nil }
                last = byte
                continue
            }
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                if Self.beginsToken(after: previous) { quote = byte }
            case UInt8(ascii: "#") where Self.isBlank(previous) || offset == 0:
                finish(blank, indicator, last)
                return nil
            case UInt8(ascii: "["), UInt8(ascii: "{"): flow += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"): flow = max(0, flow - 1)
            case UInt8(ascii: "\t") where flow == 0: return offset + 1
            default: break
            }
            if !Self.isBlank(byte) {
                if Self.isBlank(previous) || offset == 0 { indicator = byte }
                last = byte
            }
        }
        finish(blank, indicator, last)
        return nil
    }

    /// A line whose last word is `|` or `>`, with what may follow them, is the head of a text.
    private mutating func finish(_ indentation: Int, _ indicator: UInt8, _ last: UInt8) {
        guard quote == nil, flow == 0, indicator == UInt8(ascii: "|") || indicator == UInt8(ascii: ">") else { return }
        if last == indicator || "+-0123456789".utf8.contains(last) { blockIndentation = indentation }
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
    }

    private static func beginsToken(after byte: UInt8) -> Bool { " \t\n[{,:".utf8.contains(byte) }
}
