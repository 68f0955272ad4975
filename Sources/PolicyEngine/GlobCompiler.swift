/// Why a pattern cannot be compiled.
struct GlobError: Error {
    let text: String
}

/// Compiles an AppArmor glob into instructions: `*` within a component, `**` across components, `?` one byte but not `/`,
/// `[…]` and `[^…]` a class, `{a,b}` alternatives, backslash before a literal byte.
struct GlobCompiler {
    private let pattern: [UInt8]
    private var at = 0
    private(set) var program: [UInt32] = []
    private(set) var classes: [[UInt32]]

    /// - Parameter classes: the classes of earlier patterns; new ones are added behind.
    init(_ pattern: [UInt8], classes: [[UInt32]]) {
        self.pattern = pattern
        self.classes = classes
    }

    mutating func compile() throws(GlobError) {
        try sequence(depth: 0)
        if at < pattern.count { throw GlobError(text: "unmatched '}'") }
        try emit(GlobInstruction.make(GlobInstruction.match))
    }

    private mutating func emit(_ instruction: UInt32) throws(GlobError) {
        guard program.count < SnapshotLayout.maxProgram else {
            throw GlobError(text: "the pattern is too long: more than \(SnapshotLayout.maxProgram) states")
        }
        program.append(instruction)
    }

    private mutating func sequence(depth: Int) throws(GlobError) {
        while at < pattern.count {
            let byte = pattern[at]
            switch byte {
            case UInt8(ascii: "*"):
                var stars = 0
                while at < pattern.count, pattern[at] == byte {
                    stars += 1
                    at += 1
                }
                let loop = program.count
                try emit(GlobInstruction.make(GlobInstruction.split, loop + 1, loop + 3))
                try emit(GlobInstruction.make(stars > 1 ? GlobInstruction.any : GlobInstruction.anyInComponent))
                try emit(GlobInstruction.make(GlobInstruction.jump, loop))
            case UInt8(ascii: "?"):
                at += 1
                try emit(GlobInstruction.make(GlobInstruction.anyInComponent))
            case UInt8(ascii: "["):
                try characterClass()
            case UInt8(ascii: "{"):
                try alternatives(depth: depth)
            case UInt8(ascii: "}"):
                return
            case UInt8(ascii: ",") where depth > 0:
                return
            case UInt8(ascii: "\\"):
                guard at + 1 < pattern.count else { throw GlobError(text: "'\\' at the end") }
                try emit(GlobInstruction.make(GlobInstruction.byte, Int(pattern[at + 1])))
                at += 2
            default:
                try emit(GlobInstruction.make(GlobInstruction.byte, Int(byte)))
                at += 1
            }
        }
    }

    private mutating func alternatives(depth: Int) throws(GlobError) {
        guard depth < 16 else { throw GlobError(text: "'{' nested too deeply") }
        at += 1
        var ends: [Int] = []
        while true {
            let fork = program.count
            try emit(GlobInstruction.make(GlobInstruction.split, fork + 1, fork + 1))
            try sequence(depth: depth + 1)
            guard at < pattern.count else { throw GlobError(text: "'{' is not closed") }
            ends.append(program.count)
            try emit(GlobInstruction.make(GlobInstruction.jump, 0))
            let isLast = pattern[at] == UInt8(ascii: "}")
            at += 1
            program[fork] = GlobInstruction.make(
                GlobInstruction.split, fork + 1, isLast ? fork + 1 : program.count)
            if isLast { break }
        }
        for end in ends { program[end] = GlobInstruction.make(GlobInstruction.jump, program.count) }
    }

    private mutating func characterClass() throws(GlobError) {
        at += 1
        var words = [UInt32](repeating: 0, count: 8)
        func set(_ byte: UInt8) { words[Int(byte >> 5)] |= 1 << UInt32(byte & 31) }
        var negated = false
        if at < pattern.count, pattern[at] == UInt8(ascii: "^") {
            negated = true
            at += 1
        }
        var isFirst = true
        while true {
            guard at < pattern.count else { throw GlobError(text: "'[' is not closed") }
            if pattern[at] == UInt8(ascii: "]") && !isFirst { break }
            isFirst = false
            let low = try classByte()
            if at + 1 < pattern.count, pattern[at] == UInt8(ascii: "-"), pattern[at + 1] != UInt8(ascii: "]") {
                at += 1
                let high = try classByte()
                guard low <= high else { throw GlobError(text: "a range in '[…]' runs backwards") }
                for byte in low...high { set(byte) }
            } else {
                set(low)
            }
        }
        at += 1
        if negated { for index in words.indices { words[index] = ~words[index] } }
        classes.append(words)
        try emit(GlobInstruction.inClass | UInt32(classes.count - 1) << 8)
    }

    private mutating func classByte() throws(GlobError) -> UInt8 {
        if pattern[at] == UInt8(ascii: "\\") { at += 1 }
        guard at < pattern.count else { throw GlobError(text: "'[' is not closed") }
        defer { at += 1 }
        return pattern[at]
    }
}
