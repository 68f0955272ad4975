/// AppArmor globs the slow way: alternatives are written out, then every possibility is tried.
///
/// `*` stands for any bytes but `/`, `**` for any bytes, `?` for one byte but `/`, `[a-c]` and `[^a]` for one byte of a
/// class (`/` included, if it is in the class), `{a,b}` for `a` or `b`; a backslash takes the next byte literally
/// (apparmor.d(5), "Globbing").
struct ReferenceGlob {
    private enum Token: Equatable {
        case byte(UInt8)
        case one
        case many
        case manyAcrossSlashes
        case member([UInt8])
        case opening, comma, closing
    }

    /// The pattern without `{}`: one list of tokens for each choice of alternatives.
    private let choices: [[Token]]

    init(_ pattern: String) {
        choices = Self.expand(Self.tokens(Array(pattern.utf8)))
    }

    func matches(_ text: [UInt8]) -> Bool {
        choices.contains { Self.match($0, 0, text, 0) }
    }

    private static func tokens(_ pattern: [UInt8]) -> [Token] {
        var result: [Token] = []
        var rest = pattern[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\\"): if let literal = rest.popFirst() { result.append(.byte(literal)) }
            case UInt8(ascii: "?"): result.append(.one)
            case UInt8(ascii: "*"):
                let stars = rest.prefix { $0 == byte }
                rest = rest.dropFirst(stars.count)
                result.append(stars.isEmpty ? .many : .manyAcrossSlashes)
            case UInt8(ascii: "["):
                let members = rest.prefix { $0 != UInt8(ascii: "]") }
                rest = rest.dropFirst(members.count + 1)
                result.append(.member(Array(members)))
            case UInt8(ascii: "{"): result.append(.opening)
            case UInt8(ascii: ","): result.append(.comma)
            case UInt8(ascii: "}"): result.append(.closing)
            default: result.append(.byte(byte))
            }
        }
        return result
    }

    /// Replaces the first `{x,y}` by each of its alternatives and continues with the results.
    private static func expand(_ tokens: [Token]) -> [[Token]] {
        guard let opening = tokens.firstIndex(of: .opening) else {
            return [tokens.map { $0 == .comma ? .byte(UInt8(ascii: ",")) : $0 }]
        }
        var depth = 0
        var alternatives: [[Token]] = [[]]
        for index in opening..<tokens.count {
            let token = tokens[index]
            if token == .closing { depth -= 1 }
            if token == .closing, depth == 0 {
                return alternatives.flatMap { expand(tokens[..<opening] + $0 + tokens[(index + 1)...]) }
            }
            if token == .comma, depth == 1 {
                alternatives.append([])
            } else if depth > 0 {
                alternatives[alternatives.count - 1].append(token)
            }
            if token == .opening { depth += 1 }
        }
        return []
    }

    /// Whether `pattern` from `here` on matches all of `text` from `there` on.
    private static func match(_ pattern: [Token], _ here: Int, _ text: [UInt8], _ there: Int) -> Bool {
        if here == pattern.count { return there == text.count }
        let slash = UInt8(ascii: "/")
        switch pattern[here] {
        case .many, .manyAcrossSlashes:
            var end = there
            while !match(pattern, here + 1, text, end) {
                if end == text.count || pattern[here] == .many && text[end] == slash { return false }
                end += 1
            }
            return true
        case .one:
            return there < text.count && text[there] != slash && match(pattern, here + 1, text, there + 1)
        case .member(let members):
            return there < text.count && isMember(text[there], of: members)
                && match(pattern, here + 1, text, there + 1)
        case .byte(let byte):
            return there < text.count && text[there] == byte && match(pattern, here + 1, text, there + 1)
        case .opening, .comma, .closing:
            return false
        }
    }

    /// Members are single bytes and ranges; `^` first turns the answer around.
    private static func isMember(_ byte: UInt8, of members: [UInt8]) -> Bool {
        let isNegated = members.first == UInt8(ascii: "^")
        var rest = isNegated ? members.dropFirst() : members[...]
        var found = false
        while let low = rest.popFirst() {
            if rest.first == UInt8(ascii: "-"), let high = rest.dropFirst().first {
                found = found || low <= byte && byte <= high
                rest = rest.dropFirst(2)
            } else {
                found = found || low == byte
            }
        }
        return found != isNegated
    }
}
