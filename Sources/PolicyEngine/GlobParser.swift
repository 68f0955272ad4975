/// A piece of a pattern without alternatives.
enum GlobToken: Equatable {
    case byte(UInt8)
    /// `?` or a class.
    case set(ByteSet)
    /// Any bytes other than `/`.
    case star
    /// Any bytes.
    case globstar
}

/// Why a pattern cannot be compiled.
struct GlobError: Error {
    let text: String
}

/// Reads an AppArmor glob (apparmor.d(5), "Globbing") and writes its alternatives out: `*` within a component, `**` across
/// components, `?` one byte but not `/`, `[…]` and `[^…]` one byte of a class, `{a,b}` alternatives, backslash before a
/// literal byte.
struct GlobParser {
    private let pattern: [UInt8]
    private let limits: CompilerLimits
    private var at = 0

    private static let depthLimit = 16

    /// Every way to choose alternatives, as a list of tokens.
    static func parse(_ pattern: [UInt8], limits: CompilerLimits) throws(GlobError) -> [[GlobToken]] {
        guard !pattern.isEmpty else { throw GlobError(text: "it is empty") }
        guard pattern.count <= limits.pathLength else {
            throw GlobError(text: "it is longer than \(limits.pathLength) bytes")
        }
        var parser = GlobParser(pattern: pattern, limits: limits)
        let result = try parser.sequence(depth: 0)
        guard parser.at == pattern.count else { throw GlobError(text: "'}' without '{'") }
        return result
    }

    private init(pattern: [UInt8], limits: CompilerLimits) {
        self.pattern = pattern
        self.limits = limits
    }

    private mutating func sequence(depth: Int) throws(GlobError) -> [[GlobToken]] {
        var result: [[GlobToken]] = [[]]
        while at < pattern.count {
            let byte = pattern[at]
            let token: GlobToken
            switch byte {
            case UInt8(ascii: "}"): return result
            case UInt8(ascii: ",") where depth > 0: return result
            case UInt8(ascii: "{"):
                result = try product(result, try alternatives(depth: depth + 1))
                continue
            case UInt8(ascii: "*"):
                var stars = 0
                while at < pattern.count, pattern[at] == byte {
                    stars += 1
                    at += 1
                }
                token = stars == 1 ? .star : .globstar
            case UInt8(ascii: "["): token = .set(try characterClass())
            case UInt8(ascii: "?"):
                at += 1
                token = .set(.withinComponent)
            case UInt8(ascii: "\\"):
                at += 1
                guard at < pattern.count else { throw GlobError(text: "'\\' at the end") }
                fallthrough
            default:
                token = .byte(pattern[at])
                at += 1
            }
            for index in result.indices { result[index].append(token) }
            try checkSize(result)
        }
        guard depth == 0 else { throw GlobError(text: "'{' is not closed") }
        return result
    }

    private mutating func alternatives(depth: Int) throws(GlobError) -> [[GlobToken]] {
        guard depth <= Self.depthLimit else {
            throw GlobError(text: "'{' is nested more than \(Self.depthLimit) deep")
        }
        var result: [[GlobToken]] = []
        repeat {
            at += 1
            result += try sequence(depth: depth)
            try checkSize(result)
            // `sequence` came back at `,` or `}`.
        } while pattern[at] == UInt8(ascii: ",")
        at += 1
        return result
    }

    private func product(_ heads: [[GlobToken]], _ tails: [[GlobToken]]) throws(GlobError) -> [[GlobToken]] {
        guard heads.count * tails.count <= limits.patternAlternatives else { throw tooManyAlternatives }
        var result: [[GlobToken]] = []
        for head in heads {
            for tail in tails { result.append(head + tail) }
        }
        try checkSize(result)
        return result
    }

    private func checkSize(_ alternatives: [[GlobToken]]) throws(GlobError) {
        guard alternatives.count <= limits.patternAlternatives else { throw tooManyAlternatives }
        // States are counted later: alternatives that begin alike share them, and a literal directory needs none.
        let length = max(limits.patternStates * 8, limits.pathLength)
        guard alternatives.reduce(0, { $0 + $1.count }) <= length else {
            throw GlobError(text: "its alternatives written out are longer than \(length)")
        }
    }

    private var tooManyAlternatives: GlobError {
        GlobError(text: "'{…}' stands for more than \(limits.patternAlternatives) alternatives")
    }

    private mutating func characterClass() throws(GlobError) -> ByteSet {
        at += 1
        var set = ByteSet()
        let isNegated = at < pattern.count && pattern[at] == UInt8(ascii: "^")
        if isNegated { at += 1 }
        let start = at
        while true {
            guard at < pattern.count else { throw GlobError(text: "'[' is not closed") }
            if pattern[at] == UInt8(ascii: "]") { break }
            let low = try classByte()
            if at + 1 < pattern.count, pattern[at] == UInt8(ascii: "-"), pattern[at + 1] != UInt8(ascii: "]") {
                at += 1
                let high = try classByte()
                guard low <= high else { throw GlobError(text: "a range in '[…]' runs backwards") }
                for byte in low...high { set.insert(byte) }
            } else {
                set.insert(low)
            }
        }
        guard at > start else { throw GlobError(text: "'[…]' is empty") }
        at += 1
        return isNegated ? set.inverted : set
    }

    private mutating func classByte() throws(GlobError) -> UInt8 {
        if pattern[at] == UInt8(ascii: "\\") { at += 1 }
        guard at < pattern.count else { throw GlobError(text: "'[' is not closed") }
        defer { at += 1 }
        return pattern[at]
    }
}
