/// The proof that a run of a chunk stays within it.
enum PatternChunkCheck {
    /// The size of the valid chunk that the bytes begin with, a multiple of 8; `nil` when they begin with none.
    static func size(_ bytes: UnsafeRawBufferPointer, recordCount: Int) -> Int? {
        guard bytes.count >= PatternChunk.headerSize, let start = bytes.baseAddress else { return nil }
        // Bounded before they are multiplied.
        let words = start.word(at: 0)
        let classCount = start.word(at: 4)
        guard words >= 1, words <= PatternChunk.maxStates / 64, classCount >= 1, classCount <= 256,
            start.word(at: 8) <= PatternChunk.maxStates, start.word(at: 16) <= PatternChunk.maxStates
        else { return nil }
        let chunk = PatternChunk(at: start)
        guard chunk.size <= bytes.count else { return nil }
        for byte in 0..<256 where Int(chunk.classes.load(fromByteOffset: byte, as: UInt8.self)) >= chunk.classCount {
            return nil
        }
        guard hasRanks(chunk.branching, chunk.branchRanks, chunk.words, chunk.branchCount),
            hasRanks(chunk.accepting, chunk.acceptRanks, chunk.words, chunk.acceptCount),
            areOffsets(chunk.branchOffsets, chunk.branchCount * chunk.classCount, end: chunk.childCount),
            areOffsets(chunk.acceptOffsets, chunk.acceptCount, end: chunk.recordCount)
        else { return nil }
        for index in 0..<chunk.childCount
        where Int(chunk.children.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)) >= chunk.words * 64 {
            return nil
        }
        for index in 0..<chunk.recordCount where Int(chunk.acceptRecords.word(at: index * 4)) >= recordCount {
            return nil
        }
        return chunk.size
    }

    /// Whether the ranks are the numbers of bits before each word, so that the bits' ranks are below the count.
    private static func hasRanks(
        _ vector: UnsafeRawPointer, _ ranks: UnsafeRawPointer, _ words: Int, _ count: Int
    ) -> Bool {
        var sum = 0
        for word in 0..<words {
            guard Int(ranks.word(at: word * 4)) == sum else { return false }
            sum += PatternChunk.long(vector, word).nonzeroBitCount
        }
        return sum == count
    }

    /// Whether `count + 1` offsets rise from 0 to `end`.
    private static func areOffsets(_ offsets: UnsafeRawPointer, _ count: Int, end: Int) -> Bool {
        var last = 0
        for index in 0...count {
            let offset = Int(offsets.word(at: index * 4))
            guard offset >= last else { return false }
            last = offset
        }
        return offsets.word(at: 0) == 0 && last == end
    }
}
