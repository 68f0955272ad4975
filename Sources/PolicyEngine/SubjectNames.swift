/// The names that a subject has: its own and those found by resolving symlinks.
struct SubjectNames {
    // Names are bytes: to `String`, two spellings of one letter are equal.
    private let canonical: [[UInt8]: [[UInt8]]]

    init(_ aliases: [PathAlias]) {
        var table: [[UInt8]: [[UInt8]]] = [:]
        for alias in aliases {
            let literal = Array(alias.literal.utf8)
            var name = Array(alias.canonical.utf8)
            let slash = UInt8(ascii: "/")
            if literal.last == slash, name.last != slash { name.append(slash) }
            if literal != name, !table[literal, default: []].contains(name) { table[literal, default: []].append(name) }
        }
        canonical = table
    }

    /// A path or directory as written, then its other names: those of exactly this text, else those of the nearest
    /// directory above that has one.
    func all(_ name: [UInt8]) -> [[UInt8]] { [name] + others(name, isWhole: true).map { $0.name + name[$0.end...] } }

    /// A pattern's alternative under its other names.
    func others(_ tokens: [GlobToken]) -> [[GlobToken]] {
        guard !canonical.isEmpty else { return [] }
        let literal = Self.literal(tokens)
        return others(literal, isWhole: literal.count == tokens.count).map { replaced in
            replaced.name.map { .byte($0) } + tokens[replaced.end...]
        }
    }

    /// The bytes with which every match of an alternative begins.
    static func literal(_ tokens: [GlobToken]) -> [UInt8] {
        var result: [UInt8] = []
        for token in tokens {
            guard case .byte(let byte) = token else { break }
            result.append(byte)
        }
        return result
    }

    /// Names for what lies before `end`.
    private func others(_ text: [UInt8], isWhole: Bool) -> [(name: [UInt8], end: Int)] {
        guard !canonical.isEmpty else { return [] }
        if isWhole, let names = canonical[text] { return names.map { ($0, text.count) } }
        var end = text.count
        while let slash = text[..<end].lastIndex(of: UInt8(ascii: "/")) {
            if let names = canonical[Array(text[...slash])] { return names.map { ($0, slash + 1) } }
            end = slash
        }
        return []
    }

    /// An alternative as a pattern's text.
    static func text(_ tokens: [GlobToken]) -> [UInt8] {
        var result: [UInt8] = []
        for token in tokens {
            switch token {
            case .byte(let byte):
                if "*?[]{},\\".utf8.contains(byte) { result.append(UInt8(ascii: "\\")) }
                result.append(byte)
            case .set(let set) where set == .withinComponent: result.append(UInt8(ascii: "?"))
            case .set(let set):
                result.append(UInt8(ascii: "["))
                for byte in UInt8.min...UInt8.max where set.contains(byte) {
                    if "]\\^-".utf8.contains(byte) { result.append(UInt8(ascii: "\\")) }
                    result.append(byte)
                }
                result.append(UInt8(ascii: "]"))
            case .star: result.append(UInt8(ascii: "*"))
            case .globstar: result += Array("**".utf8)
            }
        }
        return result
    }
}
