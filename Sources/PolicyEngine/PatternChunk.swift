/// An automaton for some patterns of one bucket, in a snapshot's memory.
///
/// The patterns are a trie of states in depth-first order; a state is a position behind a byte of a set, with or without a
/// `*` or `**` behind it. The set of states that the text so far has led to is a bit vector. For one byte the whole vector
/// steps at once: shifted by one (a state's first child has the next number) and masked with the states that this byte
/// leads to, plus the states whose star takes the byte. Only states with several children are gone through one by one.
/// The time is at most the length of the text times the words of the vector; there is no way back and nothing to undo.
struct PatternChunk {
    /// Most states: the vector and its successor fit 1 KiB on the stack.
    static var maxStates: Int { 4_096 }

    let words: Int
    let classCount: Int
    let classes: UnsafeRawPointer
    /// States before the first byte.
    let starts: UnsafeRawPointer
    /// States in which a pattern has matched if the text ends.
    let accepting: UnsafeRawPointer
    /// States with more than one child.
    let branching: UnsafeRawPointer
    /// States whose star takes a byte other than `/`, and those whose star takes `/`.
    let loops: UnsafeRawPointer
    let slashLoops: UnsafeRawPointer
    /// For each class of bytes: first children that it leads to.
    let rows: UnsafeRawPointer
    /// For each word: branching, accepting states before it.
    let branchRanks: UnsafeRawPointer
    let acceptRanks: UnsafeRawPointer
    /// For each branching state and class: the first of its further children in `children`.
    let branchOffsets: UnsafeRawPointer
    /// For each accepting state: its first record in `acceptRecords`.
    let acceptOffsets: UnsafeRawPointer
    let acceptRecords: UnsafeRawPointer
    let children: UnsafeRawPointer
    /// Numbers of elements, for the check.
    let branchCount: Int
    let acceptCount: Int
    let recordCount: Int
    let childCount: Int
    /// All of it in bytes, a multiple of 8.
    let size: Int

    static var headerSize: Int { 32 }

    init(at start: UnsafeRawPointer) {
        words = Int(start.word(at: 0))
        classCount = Int(start.word(at: 4))
        branchCount = Int(start.word(at: 8))
        childCount = Int(start.word(at: 12))
        acceptCount = Int(start.word(at: 16))
        recordCount = Int(start.word(at: 20))
        var at = Self.headerSize
        func next(_ bytes: Int) -> UnsafeRawPointer {
            defer { at += bytes }
            return start + at
        }
        classes = next(256)
        starts = next(words * 8)
        accepting = next(words * 8)
        branching = next(words * 8)
        loops = next(words * 8)
        slashLoops = next(words * 8)
        rows = next(words * classCount * 8)
        branchRanks = next(words * 4)
        acceptRanks = next(words * 4)
        branchOffsets = next((branchCount * classCount + 1) * 4)
        acceptOffsets = next((acceptCount + 1) * 4)
        acceptRecords = next(recordCount * 4)
        children = next(childCount * 2)
        size = (at + 7) & ~7
    }

    @inline(__always)
    static func long(_ start: UnsafeRawPointer, _ index: Int) -> UInt64 { start.long(at: index &* 8) }

    /// The number of set bits of `word` of a vector below `bit`, and in the words before.
    @inline(__always)
    static func rank(_ vector: UnsafeRawPointer, _ ranks: UnsafeRawPointer, _ word: Int, _ bit: Int) -> Int {
        let below = long(vector, word) & (1 &<< UInt64(bit) &- 1)
        return Int(ranks.word(at: word &* 4)) &+ below.nonzeroBitCount
    }
}
