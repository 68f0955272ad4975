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
        choices.contains { Self.match($0[...], text[...]) }
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

    private static func match(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
        guard let first = pattern.first else { return text.isEmpty }
        let slash = UInt8(ascii: "/")
        let rest = pattern.dropFirst()
        switch first {
        case UInt8(ascii: "*"):
            if rest.first == UInt8(ascii: "*") {
                return (text.startIndex...text.endIndex).contains { match(rest.dropFirst(), text[$0...]) }
            }
            for end in text.startIndex...text.endIndex {
                if match(rest, text[end...]) { return true }
                if end < text.endIndex, text[end] == slash { return false }
            }
            return false
        case UInt8(ascii: "?"):
            guard let byte = text.first, byte != slash else { return false }
            return match(rest, text.dropFirst())
        case UInt8(ascii: "["):
            guard let end = rest.firstIndex(of: UInt8(ascii: "]")), let byte = text.first else { return false }
            return isMember(byte, of: Array(rest[..<end])) && match(rest[(end + 1)...], text.dropFirst())
        case UInt8(ascii: "\\"):
            guard let literal = rest.first, text.first == literal else { return false }
            return match(rest.dropFirst(), text.dropFirst())
        default:
            return text.first == first && match(rest, text.dropFirst())
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
