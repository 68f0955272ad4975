import PolicyModel

/// A compiled, immutable set of policies over memory that its owner keeps.
///
/// A plain value without reference counting; copying it copies pointers. Every offset and index was checked when it was
/// made, so reading never leaves the memory and always ends.
public struct Snapshot: @unchecked Sendable {
    // Unchecked: the memory is immutable while in use, by contract of `init(validating:)`.

    /// The compiler's number of this snapshot.
    public let generation: UInt64
    let hash: KeyHash
    let allowLists: UInt32
    let populated: UInt32
    let audited: UInt32
    let postures: UInt64
    let header: UnsafeRawPointer
    let presetCount: Int
    let processDepth: Int
    let fileDepth: Int
    let systemCallDepth: Int
    let text: UnsafeRawPointer
    let slots: UnsafeRawPointer
    let slotMask: Int
    let nodes: UnsafeRawPointer
    let nodeCount: Int
    let records: UnsafeRawPointer
    let pairs: UnsafeRawPointer
    let pairMask: Int
    let strings: UnsafeRawPointer
    let buckets: UnsafeRawPointer
    let chunkOffsets: UnsafeRawPointer
    let chunks: UnsafeRawPointer
    let subjects: UnsafeRawPointer
    let subjectCount: Int
    let direct: UnsafeRawPointer

    /// Checks everything and makes the bytes usable. They must stay valid and unchanged while the snapshot is used.
    ///
    /// The time is linear in the size.
    public init(validating bytes: UnsafeRawBufferPointer) throws(SnapshotError) {
        typealias Field = SnapshotLayout.Field
        let check = try SnapshotCheck(bytes)
        let start = check.start
        header = start
        generation = start.long(at: Field.generation)
        hash = check.hash
        allowLists = start.word(at: Field.allowLists)
        populated = start.word(at: Field.populated)
        audited = start.word(at: Field.audited)
        postures = start.long(at: Field.postures)
        presetCount = Int(start.word(at: Field.presetCount))
        processDepth = Int(start.word(at: Field.depths))
        fileDepth = Int(start.word(at: Field.depths + 4))
        systemCallDepth = Int(start.word(at: Field.depths + 8))
        text = check.pointer(.text)
        slots = check.pointer(.slots)
        slotMask = check.count(.slots) - 1
        nodes = check.pointer(.nodes)
        nodeCount = check.count(.nodes)
        records = check.pointer(.records)
        pairs = check.pointer(.pairs)
        pairMask = check.count(.pairs) - 1
        strings = check.pointer(.strings)
        buckets = check.pointer(.buckets)
        chunkOffsets = check.pointer(.chunkOffsets)
        chunks = check.pointer(.chunks)
        subjects = check.pointer(.subjects)
        subjectCount = check.count(.subjects)
        direct = check.pointer(.direct)
        try check.everything()
    }

    /// Whether the category permits only what its rules allow.
    public func isAllowList(_ category: Category) -> Bool { allowLists >> UInt32(category.rawValue) & 1 == 1 }

    /// Whether any rule or preset is about the category.
    public func hasRules(in category: Category) -> Bool { populated >> UInt32(category.rawValue) & 1 == 1 }

    /// What happens to an operation that no rule of an allow-list matches.
    public func posture(_ category: Category) -> Posture {
        // Other values were refused when the snapshot was made.
        Posture(rawValue: UInt8(truncatingIfNeeded: postures >> (8 * UInt64(category.rawValue)))) ?? .block
    }

    /// Calls `body` with every process and file subject, aliases included: what the mark planner works from.
    public func forEachSubject(_ body: (SnapshotSubject) -> Void) {
        for index in 0..<subjectCount {
            let subject = subjects + index * 16
            let head = subject.word(at: 12)
            guard let category = Category(rawValue: UInt8(head & 0xFF)),
                let kind = SubjectKind(rawValue: UInt8(head >> 8 & 0xFF)),
                let action = RuleAction(rawValue: UInt8(head >> 16 & 0xFF))
            else { continue }
            body(
                SnapshotSubject(
                    category: category, kind: kind,
                    text: UnsafeRawBufferPointer(
                        start: text + Int(subject.word(at: 0)), count: Int(subject.word(at: 4))),
                    action: action, rule: RuleID(rawValue: subject.word(at: 8)), isSourceBound: head >> 24 & 1 != 0,
                    readOnly: head >> 24 & 2 != 0))
        }
    }
}

extension UnsafeRawPointer {
    /// A little-endian word.
    @inline(__always)
    func word(at offset: Int) -> UInt32 {
        UInt32(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    /// A little-endian double word.
    @inline(__always)
    func long(at offset: Int) -> UInt64 {
        UInt64(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}
