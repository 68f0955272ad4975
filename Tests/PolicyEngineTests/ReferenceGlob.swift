/// AppArmor globs the slow way: alternatives are written out, then every possibility is tried.
///
/// `*` stands for any bytes but `/`, `**` for any bytes, `?` for one byte but `/`, `[a-c]` and `[^a]` for one byte,
/// `{a,b}` for `a` or `b`; a backslash takes the next byte literally (apparmor.d(5), "Globbing").
struct ReferenceGlob {
    /// The pattern without `{}`: one pattern for each choice of alternatives.
    private let choices: [[UInt8]]

    init(_ pattern: String) {
        choices = Self.expand(Array(pattern.utf8))
    }

    func matches(_ text: [UInt8]) -> Bool {
        choices.contains { Self.match($0, 0, text, 0) }
    }

    /// Replaces the first `{x,y}` by each of its alternatives and continues with the results.
    private static func expand(_ pattern: [UInt8]) -> [[UInt8]] {
        var depth = 0
        var opening = 0
        var pieces: [[UInt8]] = [[]]
        var index = 0
        var insideClass = false
        while index < pattern.count {
            let byte = pattern[index]
            if byte == UInt8(ascii: "\\") {
                if depth > 0 { pieces[pieces.count - 1] += pattern[index..<min(index + 2, pattern.count)] }
                index += 2
                continue
            }
            if insideClass {
                if byte == UInt8(ascii: "]") { insideClass = false }
            } else if byte == UInt8(ascii: "[") {
                insideClass = true
            } else if byte == UInt8(ascii: "{") {
                depth += 1
                if depth == 1 {
                    opening = index
                    index += 1
                    continue
                }
            } else if byte == UInt8(ascii: "}"), depth > 0 {
                depth -= 1
                if depth == 0 {
                    let head = Array(pattern[..<opening])
                    let tail = Array(pattern[(index + 1)...])
                    return pieces.flatMap { expand(head + $0 + tail) }
                }
            } else if byte == UInt8(ascii: ","), depth == 1 {
                pieces.append([])
                index += 1
                continue
            }
            if depth > 0 { pieces[pieces.count - 1].append(byte) }
            index += 1
        }
        return [pattern]
    }

    /// Whether `pattern` from `here` on matches all of `text` from `there` on.
    private static func match(_ pattern: [UInt8], _ here: Int, _ text: [UInt8], _ there: Int) -> Bool {
        if here == pattern.count { return there == text.count }
        let slash = UInt8(ascii: "/")
        switch pattern[here] {
        case UInt8(ascii: "*"):
            let crossesSlash = here + 1 < pattern.count && pattern[here + 1] == UInt8(ascii: "*")
            let rest = crossesSlash ? here + 2 : here + 1
            var end = there
            while !match(pattern, rest, text, end) {
                if end == text.count || !crossesSlash && text[end] == slash { return false }
                end += 1
            }
            return true
        case UInt8(ascii: "?"):
            return there < text.count && text[there] != slash && match(pattern, here + 1, text, there + 1)
        case UInt8(ascii: "["):
            guard let end = pattern[here...].firstIndex(of: UInt8(ascii: "]")), there < text.count else { return false }
            return isMember(text[there], of: Array(pattern[(here + 1)..<end]))
                && match(pattern, end + 1, text, there + 1)
        case UInt8(ascii: "\\"):
            return here + 1 < pattern.count && there < text.count && text[there] == pattern[here + 1]
                && match(pattern, here + 2, text, there + 1)
        default:
            return there < text.count && text[there] == pattern[here] && match(pattern, here + 1, text, there + 1)
        }
    }

    private static func isMember(_ byte: UInt8, of members: [UInt8]) -> Bool {
        let isNegated = members.first == UInt8(ascii: "^")
        let list = isNegated ? Array(members.dropFirst()) : members
        var found = false
        for (index, member) in list.enumerated() {
            if member == byte { found = true }
            if member == UInt8(ascii: "-"), index > 0, index + 1 < list.count, list[index - 1] <= byte,
                byte <= list[index + 1]
            {
                found = true
            }
        }
        return found != isNegated
    }
}
