/// One instruction of a compiled pattern: an operation in the low byte, operands above.
///
/// A pattern runs as a set of states that advance together over the path, byte by byte: the time is path length times
/// instructions, whatever the pattern.
enum GlobInstruction {
    /// Consumes this byte.
    static let byte: UInt32 = 0
    /// Consumes any byte but `/`.
    static let anyInComponent: UInt32 = 1
    /// Consumes a byte of a class.
    static let inClass: UInt32 = 2
    /// Goes on at two places: operands are two 12-bit targets.
    static let split: UInt32 = 3
    /// Goes on at one place.
    static let jump: UInt32 = 4
    /// Consumes any byte.
    static let any: UInt32 = 5
    /// The pattern has matched if the path ends here.
    static let match: UInt32 = 6

    static func make(_ operation: UInt32, _ first: Int = 0, _ second: Int = 0) -> UInt32 {
        operation | UInt32(first) << 8 | UInt32(second) << 20
    }

    static func isValid(_ instruction: UInt32, at index: Int, count: Int, classCount: Int) -> Bool {
        let first = Int(instruction >> 8 & 0xFFF)
        let second = Int(instruction >> 20)
        switch instruction & 0xFF {
        case byte, anyInComponent, any: return index + 1 < count
        case inClass: return index + 1 < count && Int(instruction >> 8) < classCount
        case split: return first < count && second < count
        case jump: return first < count
        case match: return true
        default: return false
        }
    }
}

/// A set of up to 256 states.
struct GlobStates {
    private var words = (UInt64(0), UInt64(0), UInt64(0), UInt64(0))

    var isEmpty: Bool { words.0 | words.1 | words.2 | words.3 == 0 }

    /// Adds a state; false when it was there.
    mutating func insert(_ state: Int) -> Bool {
        let bit: UInt64 = 1 << UInt64(state & 63)
        switch state >> 6 {
        case 0:
            if words.0 & bit != 0 { return false }
            words.0 |= bit
        case 1:
            if words.1 & bit != 0 { return false }
            words.1 |= bit
        case 2:
            if words.2 & bit != 0 { return false }
            words.2 |= bit
        default:
            if words.3 & bit != 0 { return false }
            words.3 |= bit
        }
        return true
    }

    /// Takes the lowest state out.
    mutating func popFirst() -> Int? {
        if words.0 != 0 { return Self.pop(&words.0) }
        if words.1 != 0 { return 64 + Self.pop(&words.1) }
        if words.2 != 0 { return 128 + Self.pop(&words.2) }
        if words.3 != 0 { return 192 + Self.pop(&words.3) }
        return nil
    }

    private static func pop(_ word: inout UInt64) -> Int {
        let index = word.trailingZeroBitCount
        word &= word &- 1
        return index
    }
}

/// Runs a compiled pattern over a path.
enum GlobMatcher {
    static func matches(
        _ program: UnsafeRawPointer, classes: UnsafeRawPointer, path: UnsafeRawBufferPointer
    ) -> Bool {
        var current = GlobStates()
        var accepted = false
        add(0, to: &current, program, &accepted)
        for byte in path {
            var next = GlobStates()
            accepted = false
            while let state = current.popFirst() {
                let instruction = Snapshot.word(program, state)
                let consumed: Bool
                switch instruction & 0xFF {
                case GlobInstruction.byte: consumed = instruction >> 8 == UInt32(byte)
                case GlobInstruction.anyInComponent: consumed = byte != UInt8(ascii: "/")
                case GlobInstruction.any: consumed = true
                case GlobInstruction.inClass:
                    let set = classes + Int(instruction >> 8) &* 32
                    let bits = Snapshot.word(set, Int(byte >> 5))
                    consumed = bits >> UInt32(byte & 31) & 1 == 1
                default: consumed = false
                }
                if consumed { add(state + 1, to: &next, program, &accepted) }
            }
            if next.isEmpty { return false }
            current = next
        }
        return accepted
    }

    /// Adds a state and everything reached from it without a byte.
    private static func add(
        _ state: Int, to states: inout GlobStates, _ program: UnsafeRawPointer, _ accepted: inout Bool
    ) {
        var open = GlobStates()
        _ = open.insert(state)
        while let at = open.popFirst() {
            guard states.insert(at) else { continue }
            let instruction = Snapshot.word(program, at)
            switch instruction & 0xFF {
            case GlobInstruction.split:
                _ = open.insert(Int(instruction >> 8 & 0xFFF))
                _ = open.insert(Int(instruction >> 20))
            case GlobInstruction.jump: _ = open.insert(Int(instruction >> 8 & 0xFFF))
            case GlobInstruction.match: accepted = true
            default: break
            }
        }
    }
}
