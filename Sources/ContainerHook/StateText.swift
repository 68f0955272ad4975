/// Just enough of JSON to find one string in a container's state, without more of a library than the hook itself has. The agent reads the whole.
enum StateText {
    /// The value of a string member of the outermost object; `nil` when there is none. Escapes other than of `"`, `\` and `/` are not undone: a
    /// path that has them is not found.
    static func string(_ name: String, in text: [UInt8]) -> String? {
        var depth = 0
        var index = 0
        let key = Array(name.utf8)
        while index < text.count {
            switch text[index] {
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            case UInt8(ascii: "\""):
                guard let (found, end) = literal(text, from: index) else { return nil }
                index = end
                if depth == 1, found == key, let start = valueStart(text, behind: end) {
                    return literal(text, from: start).map { String(decoding: $0.0, as: UTF8.self) }
                }
            default: break
            }
            index += 1
        }
        return nil
    }

    /// The value of an unsigned number of the outermost object; `nil` when there is none.
    static func number(_ name: String, in text: [UInt8]) -> UInt64? {
        var (depth, index) = (0, 0)
        let key = Array(name.utf8)
        while index < text.count {
            switch text[index] {
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            case UInt8(ascii: "\""):
                guard let (found, end) = literal(text, from: index) else { return nil }
                index = end
                if depth == 1, found == key {
                    let rest = text[(end + 1)...].drop { " \t\r\n:".utf8.contains($0) }
                    let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
                    return UInt64(String(decoding: digits, as: UTF8.self))
                }
            default: break
            }
            index += 1
        }
        return nil
    }

    /// What follows a beginning in the last string that has it, at any depth: runc's labels are `key=value`, its own behind those of others.
    static func lastString(after prefix: String, in text: [UInt8]) -> String? {
        var result: String?
        var index = 0
        let beginning = Array(prefix.utf8)
        while index < text.count {
            if text[index] == UInt8(ascii: "\"") {
                guard let (found, end) = literal(text, from: index) else { return nil }
                index = end
                if found.starts(with: beginning) {
                    result = String(decoding: found.dropFirst(beginning.count), as: UTF8.self)
                }
            }
            index += 1
        }
        return result
    }

    /// The string literal that begins at an index, and where it ends.
    private static func literal(_ text: [UInt8], from start: Int) -> ([UInt8], end: Int)? {
        guard text[start] == UInt8(ascii: "\"") else { return nil }
        var result: [UInt8] = []
        var index = start + 1
        while index < text.count {
            if text[index] == UInt8(ascii: "\"") { return (result, index) }
            if text[index] == UInt8(ascii: "\\") {
                index += 1
                guard index < text.count else { return nil }
                if !"\"\\/".utf8.contains(text[index]) { result.append(UInt8(ascii: "\\")) }
            }
            result.append(text[index])
            index += 1
        }
        return nil
    }

    /// Where the string begins that follows a key; `nil` when something else does, or it is no key.
    private static func valueStart(_ text: [UInt8], behind end: Int) -> Int? {
        let blanks = " \t\r\n".utf8
        var index = end + 1
        while index < text.count, blanks.contains(text[index]) { index += 1 }
        guard index < text.count, text[index] == UInt8(ascii: ":") else { return nil }
        index += 1
        while index < text.count, blanks.contains(text[index]) { index += 1 }
        return index < text.count && text[index] == UInt8(ascii: "\"") ? index : nil
    }
}
