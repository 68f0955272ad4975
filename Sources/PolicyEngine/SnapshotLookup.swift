import PolicyModel

extension Snapshot {
    /// The node of a key, or -1.
    @inline(__always)
    func find(_ key: UnsafeRawBufferPointer, _ hash: UInt64, _ table: SnapshotLayout.Table) -> Int32 {
        var slot = Int(truncatingIfNeeded: hash & 0x7FFF_FFFF_FFFF_FFFF) & cellMask
        while true {
            let cell = cells + slot &* 24
            let node = Self.word(cell, 5)
            if node == 0 { return -1 }
            if cell.loadUnaligned(as: UInt64.self) == hash, Self.word(cell, 4) == table.rawValue,
                Int(Self.word(cell, 3)) == key.count, equals(Int(Self.word(cell, 2)), key)
            {
                return Int32(bitPattern: node) &- 1
            }
            slot = (slot &+ 1) & cellMask
        }
    }

    @inline(__always)
    private func equals(_ offset: Int, _ key: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        while index < key.count {
            if text.load(fromByteOffset: offset &+ index, as: UInt8.self) != key[index] { return false }
            index &+= 1
        }
        return true
    }

    func find(_ key: UnsafeRawBufferPointer, _ table: SnapshotLayout.Table) -> Int32 {
        find(key, KeyHash.of(key, table, seed: seed), table)
    }

    /// The number of a source, or one that no rule has.
    func sourceID(_ path: UnsafeRawBufferPointer) -> UInt32 {
        UInt32(bitPattern: find(path, .source))
    }

    // MARK: - Nodes

    /// The enforcing rule without a source.
    @inline(__always)
    func ownRule(_ node: Int32) -> Int? {
        let rule = Self.word(nodes + Int(node) &* 32, 0)
        return rule == SnapshotLayout.noRule ? nil : Int(rule)
    }

    /// The enforcing rule of a source. References are sorted by source.
    func boundRule(_ node: Int32, _ source: UInt32) -> Int? {
        let entry = nodes + Int(node) &* 32
        var low = Int(Self.word(entry, 1))
        var high = low + Int(Self.word(entry, 2))
        while low < high {
            let middle = (low + high) / 2
            let id = Self.word(sourcedRefs, middle * 2)
            if id == source { return Int(Self.word(sourcedRefs, middle * 2 + 1)) }
            if id < source { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    @inline(__always)
    func sourcedCount(_ node: Int32, audit: Bool) -> UInt32 { Self.word(nodes + Int(node) &* 32, audit ? 6 : 2) }

    func hasBoundDirectory(_ found: ObjectKeys, audit: Bool) -> Bool {
        var index = 0
        while index < found.directoryCount {
            if sourcedCount(found.directories[index], audit: audit) > 0 { return true }
            index += 1
        }
        return false
    }

    // MARK: - Rules

    @inline(__always)
    func flags(_ rule: Int) -> UInt32 { Self.word(rules + rule &* 32, 0) >> 24 }

    @inline(__always)
    func action(_ rule: Int) -> RuleAction {
        // Checked when the snapshot was made.
        RuleAction(rawValue: UInt8(truncatingIfNeeded: Self.word(rules + rule &* 32, 0) >> 16)) ?? .block
    }

    func argumentCount(_ rule: Int) -> Int { Int(Self.word(rules + rule &* 32, 4)) }

    /// Whether the rule's list has what argv asks for: every argument after the first, or the only one.
    func listsArguments(_ rule: Int, _ argv: UnsafeRawBufferPointer) -> Bool {
        var count = 0
        var start = 0
        var allListed = true
        var firstListed = false
        for index in 0..<argv.count where argv[index] == 0 {
            let argument = UnsafeRawBufferPointer(rebasing: argv[start..<index])
            if count == 0 {
                firstListed = lists(rule, argument)
            } else {
                allListed = allListed && lists(rule, argument)
            }
            count += 1
            start = index + 1
            if count > 20 { return false }
        }
        return count == 1 ? firstListed : count > 1 && allListed
    }

    private func lists(_ rule: Int, _ argument: UnsafeRawBufferPointer) -> Bool {
        let start = Int(Self.word(rules + rule &* 32, 3))
        for index in start..<(start + argumentCount(rule)) {
            if Int(Self.word(arguments, index * 2 + 1)) == argument.count,
                equals(Int(Self.word(arguments, index * 2)), argument)
            {
                return true
            }
        }
        return false
    }

    // MARK: - Patterns

    /// Calls `body` with rule and source word of every pattern that matches. Patterns are grouped by the directory before
    /// their first special character; only the groups of the path's own ancestors are looked at.
    func forEachPattern(_ operation: ObjectOperation, _ body: (_ rule: Int, _ source: UInt32) -> Void) {
        guard patternCount > 0 else { return }
        let table: SnapshotLayout.Table = operation.category == .process ? .patternsProcess : .patternsFile
        let path = operation.path
        var hash = KeyHash(seed: seed)
        for index in 0..<path.count {
            hash.add(path[index])
            guard path[index] == UInt8(ascii: "/") else { continue }
            let node = find(UnsafeRawBufferPointer(rebasing: path[0...index]), hash.value(table), table)
            guard node >= 0 else { continue }
            let entry = nodes + Int(node) &* 32
            let start = Int(Self.word(entry, 3))
            for reference in start..<(start + Int(Self.word(entry, 4))) {
                let pattern = patterns + Int(Self.word(ruleRefs, reference)) &* 24
                guard couldMatch(pattern, path),
                    GlobMatcher.matches(programs + Int(Self.word(pattern, 1)) &* 4, classes: classes, path: path)
                else { continue }
                body(Int(Self.word(pattern, 0)), Self.word(pattern, 5))
            }
        }
    }

    /// The pattern's literal last byte and least length, before its program is run.
    @inline(__always)
    private func couldMatch(_ pattern: UnsafeRawPointer, _ path: UnsafeRawBufferPointer) -> Bool {
        let last = Self.word(pattern, 3)
        return path.count >= Int(Self.word(pattern, 4)) && (last > 255 || UInt32(path[path.count - 1]) == last)
    }

    // MARK: - Subjects

    /// Calls `body` with every process and file subject, aliases included: what the mark planner works from.
    public func forEachSubject(_ body: (SnapshotSubject) -> Void) {
        for index in 0..<subjectCount {
            let subject = subjects + index * 16
            let head = Self.word(subject, 0)
            let rule = Int(Self.word(subject, 1))
            guard let category = Category(rawValue: UInt8(head & 0xFF)),
                let kind = SubjectKind(rawValue: UInt8(head >> 8 & 0xFF))
            else { continue }
            body(
                SnapshotSubject(
                    category: category, kind: kind,
                    text: UnsafeRawBufferPointer(
                        start: text + Int(Self.word(subject, 2)), count: Int(Self.word(subject, 3))),
                    action: action(rule), rule: RuleID(rawValue: UInt32(rule)),
                    isSourceBound: flags(rule) & SnapshotLayout.Flag.sourceBound != 0,
                    readOnly: flags(rule) & SnapshotLayout.Flag.readOnly != 0))
        }
    }
}

/// What a subject names.
public enum SubjectKind: UInt8, Sendable {
    case path, execname, directory, recursiveDirectory, pattern
}

/// A process or file subject of a snapshot.
public struct SnapshotSubject {
    /// `.process` or `.file`.
    public var category: Category
    /// What the text is.
    public var kind: SubjectKind
    /// The text; directories end in `/`.
    public var text: UnsafeRawBufferPointer
    /// The rule's action.
    public var action: RuleAction
    /// The rule.
    public var rule: RuleID
    /// The rule has `fromSource`.
    public var isSourceBound: Bool
    /// The rule has `readOnly`.
    public var readOnly: Bool
}
