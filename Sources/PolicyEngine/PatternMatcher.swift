extension Snapshot {
    /// Steps that the patterns of one operation may take, each a few nanoseconds: no decision takes milliseconds, whatever
    /// the policies and the path.
    static var patternBudget: Int { 1_000_000 }

    /// Calls `body` with the record of each pattern that matches, from a bucket on through those of the directories above
    /// it. False when the budget did not suffice.
    @inline(__always)
    func matchPatterns(_ bucket: UInt32, _ path: UnsafeRawBufferPointer, _ body: (_ record: Int) -> Void) -> Bool {
        var budget = Self.patternBudget
        var next = bucket
        while next != SnapshotLayout.none {
            let words = buckets + Int(next) &* 16
            let consumed = Int(words.word(at: 0))
            // A bucket's own directory lies above the path.
            if consumed <= path.count {
                let rest = UnsafeRawBufferPointer(rebasing: path[consumed...])
                let first = Int(words.word(at: 8))
                for index in first..<(first &+ Int(words.word(at: 12))) {
                    let chunk = PatternChunk(at: chunks + Int(chunkOffsets.word(at: index &* 4)) &* 8)
                    if chunk.words == 1 {
                        let states = Self.runSmall(chunk, rest, &budget)
                        forEachRecord(chunk, 0, states, body)
                    } else {
                        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 128) { vectors in
                            guard let vector = Self.run(chunk, rest, vectors, &budget) else { return }
                            for word in 0..<chunk.words { forEachRecord(chunk, word, vector[word], body) }
                        }
                    }
                    if budget < 0 { return false }
                }
            }
            // Buckets of directories above have lower numbers.
            next = words.word(at: 4)
        }
        return true
    }

    /// The states of a chunk of up to 64 at the end of the text; meaningless when the budget did not suffice.
    private static func runSmall(_ chunk: PatternChunk, _ text: UnsafeRawBufferPointer, _ budget: inout Int) -> UInt64 {
        var states = PatternChunk.long(chunk.starts, 0)
        let loops = PatternChunk.long(chunk.loops, 0)
        let slashLoops = PatternChunk.long(chunk.slashLoops, 0)
        let branching = PatternChunk.long(chunk.branching, 0)
        var index = 0
        while index < text.count, states != 0, budget >= 0 {
            let byte = text.load(fromByteOffset: index, as: UInt8.self)
            let byteClass = Int(chunk.classes.load(fromByteOffset: Int(byte), as: UInt8.self))
            let kept = states & (byte == UInt8(ascii: "/") ? slashLoops : loops)
            var next = states &<< 1 & PatternChunk.long(chunk.rows, byteClass) | kept
            var branches = states & branching
            while branches != 0 {
                let bit = branches.trailingZeroBitCount
                branches &= branches &- 1
                let (first, end) = Self.children(chunk, 0, bit, byteClass)
                for child in first..<end {
                    next |= 1 &<< UInt64(chunk.children.loadUnaligned(fromByteOffset: child &* 2, as: UInt16.self) & 63)
                }
                budget &-= 1 &+ end &- first
            }
            budget &-= 1
            states = next
            index &+= 1
        }
        return states
    }

    @inline(__always)
    private static func children(_ chunk: PatternChunk, _ word: Int, _ bit: Int, _ byteClass: Int) -> (Int, Int) {
        let rank = PatternChunk.rank(chunk.branching, chunk.branchRanks, word, bit)
        let offset = chunk.branchOffsets + (rank &* chunk.classCount &+ byteClass) &* 4
        return (Int(offset.word(at: 0)), Int(offset.word(at: 4)))
    }

    /// The states of a chunk at the end of the text, in one half of `vectors`; `nil` if there are none or the budget did
    /// not suffice.
    private static func run(
        _ chunk: PatternChunk, _ text: UnsafeRawBufferPointer, _ vectors: UnsafeMutableBufferPointer<UInt64>,
        _ budget: inout Int
    ) -> UnsafeMutablePointer<UInt64>? {
        guard var current = vectors.baseAddress else { return nil }
        var next = current + 64
        let words = chunk.words
        var active: UInt64 = 0
        for word in 0..<words {
            current[word] = PatternChunk.long(chunk.starts, word)
            next[word] = 0
            if current[word] != 0 { active |= 1 &<< UInt64(word) }
        }
        var index = 0
        while index < text.count {
            if active == 0 || budget < 0 { return nil }
            let byte = text.load(fromByteOffset: index, as: UInt8.self)
            let byteClass = Int(chunk.classes.load(fromByteOffset: Int(byte), as: UInt8.self))
            let row = chunk.rows + byteClass &* words &* 8
            let loops = byte == UInt8(ascii: "/") ? chunk.slashLoops : chunk.loops
            var following: UInt64 = 0
            while active != 0 {
                let word = active.trailingZeroBitCount
                active &= active &- 1
                let states = current[word]
                current[word] = 0
                let stepped =
                    states &<< 1 & PatternChunk.long(row, word) | states & PatternChunk.long(loops, word)
                if stepped != 0 {
                    next[word] |= stepped
                    following |= 1 &<< UInt64(word)
                }
                if states &>> 63 != 0, word &+ 1 < words, PatternChunk.long(row, word &+ 1) & 1 != 0 {
                    next[word &+ 1] |= 1
                    following |= 1 &<< UInt64(word &+ 1)
                }
                var branches = states & PatternChunk.long(chunk.branching, word)
                while branches != 0 {
                    let bit = branches.trailingZeroBitCount
                    branches &= branches &- 1
                    let (first, end) = Self.children(chunk, word, bit, byteClass)
                    for child in first..<end {
                        let state = Int(chunk.children.loadUnaligned(fromByteOffset: child &* 2, as: UInt16.self))
                        next[state &>> 6] |= 1 &<< UInt64(state & 63)
                        following |= 1 &<< UInt64(state &>> 6)
                    }
                    budget &-= 1 &+ end &- first
                }
                budget &-= 1
            }
            swap(&current, &next)
            active = following
            index &+= 1
        }
        return active == 0 ? nil : current
    }

    @inline(__always)
    private func forEachRecord(_ chunk: PatternChunk, _ word: Int, _ states: UInt64, _ body: (Int) -> Void) {
        var matched = states & PatternChunk.long(chunk.accepting, word)
        while matched != 0 {
            let bit = matched.trailingZeroBitCount
            matched &= matched &- 1
            let rank = PatternChunk.rank(chunk.accepting, chunk.acceptRanks, word, bit)
            let first = Int(chunk.acceptOffsets.word(at: rank &* 4))
            for index in first..<Int(chunk.acceptOffsets.word(at: rank &* 4 &+ 4)) {
                body(Int(chunk.acceptRecords.word(at: index &* 4)))
            }
        }
    }
}
