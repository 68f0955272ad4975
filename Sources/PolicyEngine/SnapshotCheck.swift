/// The proof that bytes are a snapshot: every offset, index and count leads to something, and every chain ends.
struct SnapshotCheck {
    let start: UnsafeRawPointer
    let hash: KeyHash
    private var sections: [(start: UnsafeRawPointer, count: Int)] = []

    typealias Layout = SnapshotLayout
    typealias Field = SnapshotLayout.Field
    typealias Section = SnapshotLayout.Section
    typealias NodeWord = SnapshotLayout.NodeWord
    typealias RecordWord = SnapshotLayout.RecordWord

    /// Checks header, length, checksum and the bounds of the sections; `everything` checks what is in them.
    init(_ bytes: UnsafeRawBufferPointer) throws(SnapshotError) {
        guard bytes.count >= Layout.headerSize, let base = bytes.baseAddress else { throw .tooShort }
        guard base.long(at: Field.magic) == Layout.magic else { throw .badMagic }
        guard base.word(at: Field.version) == Layout.version else { throw .badVersion(base.word(at: Field.version)) }
        guard base.long(at: Field.length) == UInt64(bytes.count) else { throw .badLength }
        guard base.long(at: Field.checksum) == Self.checksum(bytes) else { throw .badChecksum }
        start = base
        hash = KeyHash(multiplier: base.long(at: Field.multiplier), finisher: base.long(at: Field.finisher))
        guard hash.multiplier >= 1, hash.multiplier < KeyHash.prime else { throw .badReference("hash keys") }
        for section in Section.allCases {
            let offset = Int(base.word(at: Field.sections + section.rawValue * 8))
            let count = Int(base.word(at: Field.sections + section.rawValue * 8 + 4))
            guard offset >= Layout.headerSize, offset <= bytes.count,
                count <= (bytes.count - offset) / section.elementSize
            else { throw .badReference("\(section)") }
            sections.append((base + offset, count))
        }
        guard Self.isTableSize(count(.slots)), Self.isTableSize(count(.pairs)) else { throw .badReference("tables") }
        guard count(.direct) == Layout.Direct.count else { throw .badReference("direct") }
    }

    /// The checksum of everything but the checksum itself.
    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        let before = KeyHash.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<Field.checksum]))
        return KeyHash.checksum(UnsafeRawBufferPointer(rebasing: bytes[(Field.checksum + 8)...]), from: before)
    }

    func pointer(_ section: Section) -> UnsafeRawPointer { sections[section.rawValue].start }

    func count(_ section: Section) -> Int { sections[section.rawValue].count }

    func everything() throws(SnapshotError) {
        try checkHeader()
        try checkTexts()
        try checkRecords()
        try checkNodes()
        try checkSlots()
        try checkPairs()
        try checkOwners()
        try checkBuckets()
        try checkChunks()
    }

    // MARK: - Parts

    private static func isTableSize(_ count: Int) -> Bool { count > 0 && count & (count - 1) == 0 }

    private var ruleCount: UInt32 { start.word(at: Field.ruleCount) }

    /// `none`, or an index below the count.
    private func isIndex(_ word: UInt32, _ section: Section) -> Bool {
        word == Layout.none || Int(word) < count(section)
    }

    private func isRange(_ first: UInt32, _ length: UInt32, _ section: Section) -> Bool {
        Int(first) <= count(section) && Int(length) <= count(section) - Int(first)
    }

    private func checkHeader() throws(SnapshotError) {
        for category in 0..<6 where start.long(at: Field.postures) >> UInt64(8 * category) & 0xFF > 2 {
            throw .badReference("postures")
        }
        let presetCount = start.word(at: Field.presetCount)
        guard presetCount <= 5 else { throw .badReference("presets") }
        for index in 0..<Int(presetCount) {
            let entry = start + Field.presets + index * 8
            guard entry.word(at: 0) & ~0x100 < 5, entry.word(at: 4) < ruleCount else { throw .badReference("presets") }
        }
        for index in 0..<4 where !isIndex(start.word(at: Field.floatingBuckets + index * 4), .buckets) {
            throw .badReference("buckets")
        }
        for index in 0..<Layout.Direct.count where !isIndex(pointer(.direct).word(at: index * 4), .nodes) {
            throw .badReference("direct")
        }
    }

    private func checkTexts() throws(SnapshotError) {
        for index in 0..<count(.strings) {
            let string = pointer(.strings) + index * 8
            guard isRange(string.word(at: 0), string.word(at: 4) & ~Layout.recursiveSource, .text) else {
                throw .badReference("strings")
            }
        }
        for index in 0..<count(.subjects) {
            let subject = pointer(.subjects) + index * 16
            let head = subject.word(at: 12)
            guard isRange(subject.word(at: 0), subject.word(at: 4), .text), subject.word(at: 8) < ruleCount,
                head & 0xFF < 2, head >> 8 & 0xFF < 5, head >> 16 & 0xFF < 3, head >> 24 < 4
            else { throw .badReference("subjects") }
        }
    }

    private func checkRecords() throws(SnapshotError) {
        for index in 0..<count(.records) {
            let record = pointer(.records) + index * RecordWord.size
            guard record.word(at: 4 * RecordWord.rule) < ruleCount,
                record.word(at: 4 * RecordWord.flags) & ~Layout.RecordFlag.all == 0,
                isIndex(record.word(at: 4 * RecordWord.source), .nodes),
                isRange(record.word(at: 4 * RecordWord.strings), record.word(at: 4 * RecordWord.stringCount), .strings)
            else { throw .badReference("records") }
        }
    }

    private func checkNodes() throws(SnapshotError) {
        for index in 0..<count(.nodes) {
            let node = pointer(.nodes) + index * NodeWord.size
            func word(_ field: Int) -> UInt32 { node.word(at: 4 * field) }
            guard isRange(word(NodeWord.text), word(NodeWord.textLength), .text), word(NodeWord.flags) < 128,
                isIndex(word(NodeWord.exact), .records), isIndex(word(NodeWord.directory), .records),
                isRange(word(NodeWord.exactAudits), word(NodeWord.exactAudits + 1), .records),
                isRange(word(NodeWord.directoryAudits), word(NodeWord.directoryAudits + 1), .records),
                isIndex(word(NodeWord.bucket), .buckets), isIndex(word(NodeWord.auditBucket), .buckets)
            else { throw .badReference("nodes") }
        }
    }

    /// Every node with a text must be found by it: a rule that no lookup reaches would be one that is silently off.
    private func checkSlots() throws(SnapshotError) {
        var filled = 0
        for slot in 0..<count(.slots) {
            let index = pointer(.slots).word(at: slot * 8 + 4)
            if index == Layout.none { continue }
            guard Int(index) < count(.nodes) else { throw .badReference("slots") }
            filled += 1
        }
        var unread = count(.text)
        for index in 0..<count(.nodes) {
            let node = pointer(.nodes) + index * NodeWord.size
            if node.word(at: 4 * NodeWord.space) == KeySpace.direct { continue }
            let length = Int(node.word(at: 4 * NodeWord.textLength))
            // No two nodes share a text, so that hashing all of them takes no longer than reading the section.
            unread -= length
            guard unread >= 0 else { throw .badReference("nodes") }
            let key = UnsafeRawBufferPointer(
                start: pointer(.text) + Int(node.word(at: 4 * NodeWord.text)), count: length)
            guard hasSlot(UInt32(index), hash.hash(key, node.word(at: 4 * NodeWord.space))) else {
                throw .badReference("slots")
            }
            filled -= 1
        }
        guard filled == 0 else { throw .badReference("slots") }
    }

    /// Whether a lookup of the hash comes to the node.
    private func hasSlot(_ node: UInt32, _ hash: UInt64) -> Bool {
        let mask = count(.slots) - 1
        var at = Int(truncatingIfNeeded: hash >> 32) & mask
        for _ in 0..<Layout.maxProbe {
            let slot = pointer(.slots) + at * 8
            if slot.word(at: 4) == node { return slot.word(at: 0) == UInt32(truncatingIfNeeded: hash) }
            if slot.word(at: 4) == Layout.none { return false }
            at = (at + 1) & mask
        }
        return false
    }

    /// Whether a probe from the pair's hash on comes to `slot` before an empty one and before it gives up.
    private func isReached(_ slot: Int, from hash: UInt64) -> Bool {
        let mask = count(.pairs) - 1
        var at = Int(truncatingIfNeeded: hash >> 32) & mask
        for _ in 0..<Layout.maxProbe {
            if at == slot { return true }
            if pointer(.pairs).word(at: at * 16) == Layout.none { return false }
            at = (at + 1) & mask
        }
        return false
    }

    private func checkPairs() throws(SnapshotError) {
        for slot in 0..<count(.pairs) {
            let pair = pointer(.pairs) + slot * 16
            let key = pair.word(at: 0)
            if key == Layout.none { continue }
            let hash = hash.hash(pair: key, pair.word(at: 4))
            guard Int(key >> 2) < count(.nodes), Int(pair.word(at: 4)) < count(.nodes),
                isRange(pair.word(at: 8), pair.word(at: 12), .records),
                isReached(slot, from: hash)
            else { throw .badReference("pairs") }
        }
    }

    /// Every record has one owner, so that no verdict looks at more records than there are.
    private func checkOwners() throws(SnapshotError) {
        var unowned = count(.records)
        for index in 0..<count(.nodes) {
            let node = pointer(.nodes) + index * NodeWord.size
            unowned -= Int(node.word(at: 4 * (NodeWord.exactAudits + 1)))
            unowned -= Int(node.word(at: 4 * (NodeWord.directoryAudits + 1)))
        }
        for slot in 0..<count(.pairs) where pointer(.pairs).word(at: slot * 16) != Layout.none {
            unowned -= Int(pointer(.pairs).word(at: slot * 16 + 12))
        }
        guard unowned >= 0 else { throw .badReference("records") }
    }

    private func checkBuckets() throws(SnapshotError) {
        var next: UInt32 = 0
        for index in 0..<count(.buckets) {
            let bucket = pointer(.buckets) + index * 16
            let parent = bucket.word(at: 4)
            // A parent comes before: a chain of buckets ends. Buckets share no chunk, so that it meets each at most once.
            guard parent == Layout.none || Int(parent) < index, bucket.word(at: 8) == next,
                isRange(next, bucket.word(at: 12), .chunkOffsets)
            else { throw .badReference("buckets") }
            next += bucket.word(at: 12)
        }
    }

    /// Chunks lie one behind the other: checking all of them reads the section once.
    private func checkChunks() throws(SnapshotError) {
        let records = count(.records)
        let units = count(.chunks)
        var next = 0
        for index in 0..<count(.chunkOffsets) {
            let rest = UnsafeRawBufferPointer(start: pointer(.chunks) + next * 8, count: (units - next) * 8)
            guard Int(pointer(.chunkOffsets).word(at: index * 4)) == next,
                let size = PatternChunkCheck.size(rest, recordCount: records)
            else { throw .badReference("patterns") }
            next += size / 8
        }
    }
}
