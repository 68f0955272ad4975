/// A snapshot under construction: keys and the records under them.
struct SnapshotDraft {
    /// A rule under one key.
    struct Record: Equatable {
        var rule: UInt32
        var flags: UInt32
        /// For patterns: the node of the only source.
        var source = SnapshotLayout.none
        /// Index in `lists`; 0 is the empty one.
        var list = 0

        /// Fires on every operation that it matches.
        var isUnconditional: Bool {
            let recursive = SnapshotLayout.RecordFlag.recursive | SnapshotLayout.RecordFlag.allows
            return list == 0 && flags & ~recursive == 0
        }
    }

    /// A key.
    struct Node {
        var text: Int
        var length: Int
        var space: UInt32
        var hash: UInt64
        var exact: Record?
        var directory: Record?
        var exactAudits: [Record] = []
        var directoryAudits: [Record] = []
        var flags: UInt32 = 0
        var bucket = SnapshotLayout.none
        var auditBucket = SnapshotLayout.none
    }

    /// An allowed argument, or a source of a system call rule.
    struct ListEntry: Hashable {
        var text: [UInt8]
        var isRecursive = false
    }

    /// A pattern, its alternatives written out.
    struct Pattern {
        var isProcess: Bool
        var audits: Bool
        var record: Record
        var alternatives: [[GlobToken]]
    }

    /// What a rule is under its key.
    enum Place {
        case exact, directory
    }

    let hash: KeyHash
    private(set) var text: [UInt8] = []
    var nodes: [Node] = []
    /// Records for one source: the node and kind, and the source's node.
    private(set) var bound: [UInt64: [Record]] = [:]
    private(set) var lists: [[ListEntry]] = [[]]
    private var listNumbers: [[ListEntry]: Int] = [:]
    private(set) var patterns: [Pattern] = []
    private var patternNumbers: [PatternKey: Int] = [:]
    var subjects: [UInt32] = []
    var direct = [UInt32](repeating: SnapshotLayout.none, count: SnapshotLayout.Direct.count)
    var allowLists: UInt32 = 0
    var populated: UInt32 = 0
    var audited: UInt32 = 0
    private var slots = [UInt32](repeating: SnapshotLayout.none, count: 64)

    private struct PatternKey: Hashable {
        var isProcess: Bool
        var text: [UInt8]
        var source: UInt32
    }

    init(hash: KeyHash) { self.hash = hash }

    /// Bytes that the draft will need at least.
    var size: Int { text.count + nodes.count * SnapshotLayout.NodeWord.size + bound.count * 36 + subjects.count * 4 }

    // MARK: - Keys

    mutating func append(_ bytes: [UInt8]) -> Int {
        defer { text += bytes }
        return text.count
    }

    /// The node of a key, made if there is none.
    mutating func node(_ key: ArraySlice<UInt8>, _ space: UInt32) -> Int {
        let found = key.withUnsafeBytes { bytes in
            let hash = hash.hash(bytes, space)
            return (hash, slot(of: bytes, hash, space))
        }
        let known = slots[found.1]
        if known != SnapshotLayout.none { return Int(known) }
        let node = nodes.count
        nodes.append(Node(text: text.count, length: key.count, space: space, hash: found.0))
        text += key
        slots[found.1] = UInt32(node)
        if nodes.count * 2 > slots.count { grow() }
        return node
    }

    mutating func node(_ key: [UInt8], _ space: UInt32) -> Int { node(key[...], space) }

    /// The node of a directory, by its text with the trailing slash.
    mutating func node(directory: [UInt8], _ space: UInt32) -> Int { node(directory.dropLast(), space) }

    /// A node found by number.
    mutating func directNode(_ index: Int) -> Int {
        if direct[index] != SnapshotLayout.none { return Int(direct[index]) }
        nodes.append(Node(text: 0, length: 0, space: KeySpace.direct, hash: 0))
        direct[index] = UInt32(nodes.count - 1)
        return nodes.count - 1
    }

    /// The slot of a key, or the empty one where it belongs.
    private func slot(of key: UnsafeRawBufferPointer, _ hash: UInt64, _ space: UInt32) -> Int {
        var slot = Int(truncatingIfNeeded: hash >> 32) & (slots.count - 1)
        while slots[slot] != SnapshotLayout.none {
            let node = nodes[Int(slots[slot])]
            if node.hash == hash, node.space == space, node.length == key.count,
                text[node.text..<(node.text + node.length)].elementsEqual(key)
            {
                return slot
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        return slot
    }

    private mutating func grow() {
        slots = [UInt32](repeating: SnapshotLayout.none, count: slots.count * 2)
        for (index, node) in nodes.enumerated() where node.space != KeySpace.direct {
            var slot = Int(truncatingIfNeeded: node.hash >> 32) & (slots.count - 1)
            while slots[slot] != SnapshotLayout.none { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = UInt32(index)
        }
    }

    // MARK: - Records

    /// The number of a list.
    mutating func list(_ entries: [ListEntry]) -> Int {
        if entries.isEmpty { return 0 }
        if let known = listNumbers[entries] { return known }
        lists.append(entries)
        listNumbers[entries] = lists.count - 1
        return lists.count - 1
    }

    /// Puts an enforcing record under a key: a later one replaces an earlier one.
    mutating func enforce(_ node: Int, _ place: Place, _ record: Record, sources: [UInt32]) {
        for source in sources {
            let kind = place == .exact ? SnapshotLayout.PairKind.exact : SnapshotLayout.PairKind.directory
            bound[Self.pair(node, kind, source)] = [record]
        }
        guard sources.isEmpty else { return }
        switch place {
        case .exact: nodes[node].exact = record
        case .directory: nodes[node].directory = record
        }
    }

    /// Puts an Audit record under a key, behind earlier ones. Returns how many there are now.
    mutating func audit(_ node: Int, _ place: Place, _ record: Record, sources: [UInt32]) -> Int {
        var longest = 0
        for source in sources {
            let kind = place == .exact ? SnapshotLayout.PairKind.exactAudit : SnapshotLayout.PairKind.directoryAudit
            let key = Self.pair(node, kind, source)
            Self.add(record, to: &bound[key, default: []])
            longest = max(longest, bound[key, default: []].count)
        }
        guard sources.isEmpty else { return longest }
        switch place {
        case .exact:
            Self.add(record, to: &nodes[node].exactAudits)
            return nodes[node].exactAudits.count
        case .directory:
            Self.add(record, to: &nodes[node].directoryAudits)
            return nodes[node].directoryAudits.count
        }
    }

    static func pair(_ node: Int, _ kind: UInt32, _ source: UInt32) -> UInt64 {
        UInt64(UInt32(node) << 2 | kind) << 32 | UInt64(source)
    }

    /// Leaves out records that cannot be the first to fire.
    private static func add(_ record: Record, to list: inout [Record]) {
        let recursive = SnapshotLayout.RecordFlag.recursive
        let isShadowed = list.contains {
            $0.flags & recursive == record.flags & recursive
                && ($0.isUnconditional || $0.flags == record.flags && $0.list == record.list)
        }
        if !isShadowed { list.append(record) }
    }

    /// Adds a pattern; a later enforcing one with the same text and source replaces an earlier one.
    mutating func add(_ pattern: Pattern, key: [UInt8]) {
        if !pattern.audits {
            let key = PatternKey(isProcess: pattern.isProcess, text: key, source: pattern.record.source)
            if let known = patternNumbers[key] {
                patterns[known] = pattern
                return
            }
            patternNumbers[key] = patterns.count
        }
        patterns.append(pattern)
    }
}
