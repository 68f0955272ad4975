import PolicyModel

/// Why bytes are not a snapshot.
public enum SnapshotError: Error, Equatable, Sendable, CustomStringConvertible {
    case tooShort
    case badMagic
    case badVersion(UInt32)
    case badLength
    case badChecksum
    /// A reference of this section leads out of bounds.
    case badReference(String)

    /// One line for people.
    public var description: String {
        switch self {
        case .tooShort: "too short"
        case .badMagic: "not a snapshot"
        case .badVersion(let version): "version \(version) is not known"
        case .badLength: "the length is wrong"
        case .badChecksum: "the checksum is wrong"
        case .badReference(let section): "a reference in \(section) leads out of bounds"
        }
    }
}

/// A compiled, immutable set of policies over memory that its owner keeps.
///
/// A plain value without reference counting; copying it copies a pointer. Every offset and index was checked when it was made, so
/// reading never leaves the memory and always ends.
public struct Snapshot: @unchecked Sendable {
    // Unchecked: the memory is immutable while in use, by contract of `init(validating:)`.
    let base: UnsafeRawPointer
    let seed: UInt64
    /// The compiler's number of this snapshot.
    public let generation: UInt64
    let allowLists: UInt32
    let populated: UInt32
    let postures: UInt64
    let presetStart: Int
    let presetCount: Int
    let text: UnsafeRawPointer
    let textCount: Int
    let rules: UnsafeRawPointer
    let ruleCount: Int
    let arguments: UnsafeRawPointer
    let nodes: UnsafeRawPointer
    let nodeCount: Int
    let ruleRefs: UnsafeRawPointer
    let ruleRefCount: Int
    let sourcedRefs: UnsafeRawPointer
    let cells: UnsafeRawPointer
    let cellMask: Int
    let patterns: UnsafeRawPointer
    let patternCount: Int
    let programs: UnsafeRawPointer
    let classes: UnsafeRawPointer
    let subjects: UnsafeRawPointer
    let subjectCount: Int

    /// Checks everything and makes the bytes usable. They must stay valid and unchanged while the snapshot is used.
    public init(validating bytes: UnsafeRawBufferPointer) throws(SnapshotError) {
        typealias Field = SnapshotLayout.Field
        guard bytes.count >= SnapshotLayout.headerSize, let start = bytes.baseAddress else { throw .tooShort }
        func word(_ offset: Int) -> UInt32 { start.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
        func long(_ offset: Int) -> UInt64 { start.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
        guard long(Field.magic) == SnapshotLayout.magic else { throw .badMagic }
        // The word behind the version is reserved.
        guard word(Field.version + 4) == 0 else { throw .badLength }
        guard word(Field.version) == SnapshotLayout.version else { throw .badVersion(word(Field.version)) }
        guard long(Field.length) == UInt64(bytes.count) else { throw .badLength }
        let summed = UnsafeRawBufferPointer(rebasing: bytes[Field.generation...])
        guard long(Field.checksum) == KeyHash.checksum(summed) else { throw .badChecksum }
        var starts: [Int] = []
        var counts: [Int] = []
        for section in SnapshotLayout.Section.allCases {
            let offset = Int(word(Field.sections + section.rawValue * 8))
            let count = Int(word(Field.sections + section.rawValue * 8 + 4))
            guard offset >= SnapshotLayout.headerSize, offset <= bytes.count,
                count * section.elementSize <= bytes.count - offset
            else { throw .badReference("\(section)") }
            starts.append(offset)
            counts.append(count)
        }
        func at(_ section: SnapshotLayout.Section) -> UnsafeRawPointer { start + starts[section.rawValue] }
        func count(_ section: SnapshotLayout.Section) -> Int { counts[section.rawValue] }
        base = start
        seed = long(Field.seed)
        generation = long(Field.generation)
        allowLists = word(Field.allowLists)
        populated = word(Field.populated)
        postures = long(Field.postures)
        presetStart = Int(word(Field.presets))
        presetCount = Int(word(Field.presets + 4))
        text = at(.text)
        textCount = count(.text)
        rules = at(.rules)
        ruleCount = count(.rules)
        arguments = at(.arguments)
        nodes = at(.nodes)
        nodeCount = count(.nodes)
        ruleRefs = at(.ruleRefs)
        ruleRefCount = count(.ruleRefs)
        sourcedRefs = at(.sourcedRefs)
        cells = at(.cells)
        let cellCount = count(.cells)
        cellMask = cellCount - 1
        patterns = at(.patterns)
        patternCount = count(.patterns)
        programs = at(.programs)
        classes = at(.classes)
        subjects = at(.subjects)
        subjectCount = count(.subjects)
        guard cellCount > 0, cellCount & (cellCount - 1) == 0 else { throw .badReference("cells") }
        for category in 0..<6 where postures >> UInt64(8 * category) & 0xFF > 2 { throw .badReference("postures") }
        guard presetStart <= ruleRefCount, presetCount <= ruleRefCount - presetStart else {
            throw .badReference("presets")
        }
        try checkRules(argumentCount: count(.arguments))
        try checkNodes(sourcedCount: count(.sourcedRefs))
        try checkCells()
        try checkPatterns(programCount: count(.programs), classCount: count(.classes))
    }

    /// Whether the category permits only what its rules allow.
    public func isAllowList(_ category: Category) -> Bool { allowLists >> UInt32(category.rawValue) & 1 == 1 }

    /// Whether any rule is about the category.
    public func hasRules(in category: Category) -> Bool { populated >> UInt32(category.rawValue) & 1 == 1 }

    /// What happens to an operation no rule of an allow-list matches.
    public func posture(_ category: Category) -> Posture {
        // Checked when the snapshot was made.
        Posture(rawValue: UInt8(truncatingIfNeeded: postures >> (8 * UInt64(category.rawValue)))) ?? .block
    }

    @inline(__always)
    static func word(_ pointer: UnsafeRawPointer, _ index: Int) -> UInt32 {
        pointer.loadUnaligned(fromByteOffset: index &* 4, as: UInt32.self)
    }

    // MARK: - Checks

    private func checkText(_ offset: UInt32, _ length: UInt32) -> Bool {
        Int(offset) <= textCount && Int(length) <= textCount - Int(offset)
    }

    private func checkRules(argumentCount: Int) throws(SnapshotError) {
        for index in 0..<ruleCount {
            let rule = rules + index * 32
            let kind = Self.word(rule, 0)
            guard kind & 0xFF < 6, kind >> 16 & 0xFF < 3, checkText(Self.word(rule, 1), Self.word(rule, 2)),
                Int(Self.word(rule, 3)) <= argumentCount,
                Int(Self.word(rule, 4)) <= argumentCount - Int(Self.word(rule, 3)), Self.word(rule, 6) < 6
            else { throw .badReference("rules") }
        }
        for index in 0..<argumentCount
        where !checkText(Self.word(arguments, index * 2), Self.word(arguments, index * 2 + 1)) {
            throw .badReference("arguments")
        }
        for index in 0..<subjectCount {
            let subject = subjects + index * 16
            guard Int(Self.word(subject, 1)) < ruleCount, checkText(Self.word(subject, 2), Self.word(subject, 3)),
                Self.word(subject, 0) & 0xFF < 2, Self.word(subject, 0) >> 8 & 0xFF < 5
            else { throw .badReference("subjects") }
        }
    }

    private func checkNodes(sourcedCount: Int) throws(SnapshotError) {
        for index in 0..<nodeCount {
            let node = nodes + index * 32
            let enforce = Self.word(node, 0)
            guard enforce == SnapshotLayout.noRule || Int(enforce) < ruleCount else { throw .badReference("nodes") }
            for (field, limit) in [(1, sourcedCount), (3, ruleRefCount), (5, sourcedCount)] {
                let start = Int(Self.word(node, field))
                guard start <= limit, Int(Self.word(node, field + 1)) <= limit - start else {
                    throw .badReference("nodes")
                }
            }
        }
        for index in 0..<sourcedCount where Int(Self.word(sourcedRefs, index * 2 + 1)) >= ruleCount {
            throw .badReference("sourcedRefs")
        }
        let limit = max(ruleCount, patternCount)
        for index in 0..<ruleRefCount where Int(Self.word(ruleRefs, index)) >= limit { throw .badReference("ruleRefs") }
        for index in presetStart..<(presetStart + presetCount) where Int(Self.word(ruleRefs, index)) >= ruleCount {
            throw .badReference("presets")
        }
    }

    private func checkCells() throws(SnapshotError) {
        var empty = 0
        for index in 0...cellMask {
            let cell = cells + index * 24
            let node = Int(Self.word(cell, 5))
            if node == 0 {
                empty += 1
                continue
            }
            guard let table = SnapshotLayout.Table(rawValue: Self.word(cell, 4)),
                checkText(Self.word(cell, 2), Self.word(cell, 3)), table == .source || node - 1 < nodeCount
            else { throw .badReference("cells") }
            // A pattern group's node lists patterns, every other node rules: an index must fit what it is used for.
            guard table != .source else { continue }
            let start = Int(Self.word(nodes + (node - 1) * 32, 3))
            let count = Int(Self.word(nodes + (node - 1) * 32, 4))
            let limit = table == .patternsProcess || table == .patternsFile ? patternCount : ruleCount
            for reference in start..<(start + count) where Int(Self.word(ruleRefs, reference)) >= limit {
                throw .badReference("cells")
            }
        }
        // A probe ends at an empty cell.
        guard empty > 0 else { throw .badReference("cells") }
    }

    private func checkPatterns(programCount: Int, classCount: Int) throws(SnapshotError) {
        for index in 0..<patternCount {
            let pattern = patterns + index * 24
            let start = Int(Self.word(pattern, 1))
            let count = Int(Self.word(pattern, 2))
            guard Int(Self.word(pattern, 0)) < ruleCount, start <= programCount, count > 0,
                count <= programCount - start,
                count <= SnapshotLayout.maxProgram
            else { throw .badReference("patterns") }
            for at in 0..<count {
                let instruction = Self.word(programs, start + at)
                guard GlobInstruction.isValid(instruction, at: at, count: count, classCount: classCount) else {
                    throw .badReference("programs")
                }
            }
        }
    }
}
