extension Snapshot {
    /// The verdict on a process or file operation, or the facts it depends on (docs/semantics.md).
    ///
    /// A decided verdict holds whatever the unknown facts are. Neither allocates nor counts references.
    public func verdict(for operation: ObjectOperation) -> Verdict {
        guard hasRules(in: operation.category) else { return .allowed }
        var auditPreset = RuleID.none
        if presetCount > 0 {
            let preset = preset(operation, auditing: false)
            if preset.effect == .block { return preset }
        }
        var search = ObjectSearch(self, operation)
        let enforced = enforce(operation, &search)
        if enforced.effect == .block { return enforced }
        if presetCount > 0 {
            let preset = preset(operation, auditing: true)
            if !preset.missing.isEmpty { return preset }
            auditPreset = preset.rule
        }
        if auditPreset != .none { return Verdict(effect: .audit, rule: auditPreset) }
        if audited >> UInt32(operation.category.rawValue) & 1 == 1, let audit = audit(operation, &search) {
            return audit
        }
        return enforced
    }

    /// What is found out about an operation on the way, and where.
    struct ObjectSearch {
        let path: UnsafeRawBufferPointer
        let start: UnsafeRawPointer
        let space: UInt32
        let depth: Int
        let isProcess: Bool
        /// Index of the last slash, or -1.
        let lastSlash: Int
        /// Node of the whole path, or -1.
        var exact = -1
        /// Node of the last component (process only), or -1.
        var name = -1
        /// Flags of all ancestor directories together.
        var directoryFlags: UInt32 = 0
        /// Deepest bucket of enforcing and of Audit patterns.
        var bucket: UInt32
        var auditBucket: UInt32
        /// Node of the source; `none` if no rule names it.
        var source: UInt32 = SnapshotLayout.none
        var hasSource = false

        @inline(__always)
        init(_ snapshot: Snapshot, _ operation: ObjectOperation) {
            path = operation.path
            // Any address does for an empty path.
            start = operation.path.baseAddress ?? snapshot.text
            isProcess = operation.category == .process
            space = isProcess ? KeySpace.process : KeySpace.file
            depth = isProcess ? snapshot.processDepth : snapshot.fileDepth
            let floating = SnapshotLayout.Field.floatingBuckets + (isProcess ? 0 : 8)
            bucket = snapshot.header.word(at: floating)
            auditBucket = snapshot.header.word(at: floating + 4)
            var index = operation.path.count &- 1
            while index >= 0, operation.path.load(fromByteOffset: index, as: UInt8.self) != UInt8(ascii: "/") {
                index &-= 1
            }
            lastSlash = index
        }
    }

    /// The source's node; looked up once, and only when a rule is bound to sources.
    @inline(__always)
    func source(_ operation: ObjectOperation, _ search: inout ObjectSearch) -> UInt32 {
        if !search.hasSource {
            search.source = source(operation.source)
            search.hasSource = true
        }
        return search.source
    }

    // MARK: - Enforcing rules

    private func enforce(_ operation: ObjectOperation, _ search: inout ObjectSearch) -> Verdict {
        let knowsSource = operation.known.contains(.source)
        var needsSource = false
        var recursive = -1
        var direct = -1
        var boundRecursive = -1
        var boundDirect = -1
        let space = search.space
        let start = search.start
        let lastSlash = search.lastSlash
        let whole = hash.walk(search.path, space, limit: search.depth) { end, hash in
            let node = find(hash, space, start, end)
            guard node >= 0 else { return }
            let flags = nodeFlags(node)
            search.directoryFlags |= flags
            let record = nodeWord(node, NodeWord.directory)
            if record != SnapshotLayout.none {
                if recordWord(Int(record), RecordWord.flags) & RecordFlag.recursive != 0 {
                    recursive = Int(record)
                } else if end == lastSlash {
                    direct = Int(record)
                }
            }
            let wanted = NodeFlag.boundRecursive | (end == lastSlash ? NodeFlag.boundDirect : 0)
            if flags & wanted != 0 {
                if knowsSource {
                    let found = bound(node, SnapshotLayout.PairKind.directory, source(operation, &search))
                    if found.count > 0 {
                        if recordWord(found.start, RecordWord.flags) & RecordFlag.recursive != 0 {
                            boundRecursive = found.start
                        } else if end == lastSlash {
                            boundDirect = found.start
                        }
                    }
                } else {
                    needsSource = true
                }
            }
            let bucket = nodeWord(node, NodeWord.bucket)
            if bucket != SnapshotLayout.none { search.bucket = bucket }
            let auditBucket = nodeWord(node, NodeWord.auditBucket)
            if auditBucket != SnapshotLayout.none { search.auditBucket = auditBucket }
        }
        search.exact = find(whole, space, start, search.path.count)
        if search.exact >= 0, nodeFlags(search.exact) & NodeFlag.boundExact != 0 {
            guard knowsSource else { return .needs(.source) }
            let found = bound(search.exact, SnapshotLayout.PairKind.exact, source(operation, &search))
            if found.count > 0 { return decide(found.start, operation) }
        }
        if needsSource { return .needs(.source) }
        if boundRecursive >= 0 { return decide(boundRecursive, operation) }
        if boundDirect >= 0 { return decide(boundDirect, operation) }
        if search.exact >= 0 {
            let record = nodeWord(search.exact, NodeWord.exact)
            if record != SnapshotLayout.none { return decide(Int(record), operation) }
        }
        if search.isProcess, let verdict = enforceName(operation, &search) { return verdict }
        if search.bucket != SnapshotLayout.none, let verdict = enforcePatterns(operation, &search) { return verdict }
        if recursive >= 0 { return decide(recursive, operation) }
        if direct >= 0 { return decide(direct, operation) }
        return unmatched(operation.category)
    }

    private func enforceName(_ operation: ObjectOperation, _ search: inout ObjectSearch) -> Verdict? {
        findName(&search)
        guard search.name >= 0 else { return nil }
        if nodeFlags(search.name) & NodeFlag.boundExact != 0 {
            guard operation.known.contains(.source) else { return .needs(.source) }
            let found = bound(search.name, SnapshotLayout.PairKind.exact, source(operation, &search))
            if found.count > 0 { return decide(found.start, operation) }
        }
        let record = nodeWord(search.name, NodeWord.exact)
        return record == SnapshotLayout.none ? nil : decide(Int(record), operation)
    }

    func findName(_ search: inout ObjectSearch) {
        let start = search.lastSlash &+ 1
        guard start < search.path.count else { return }
        search.name = find(UnsafeRawBufferPointer(rebasing: search.path[start...]), KeySpace.execname)
    }

    private func enforcePatterns(_ operation: ObjectOperation, _ search: inout ObjectSearch) -> Verdict? {
        var best = UInt64.max
        var deciding = -1
        var isOpen = false
        let isBounded = matchPatterns(search.bucket, search.path) { record in
            // Block before Allow; then list order, which is the order of rule numbers.
            let allows: UInt64 = recordWord(record, RecordWord.flags) & RecordFlag.allows != 0 ? 1 : 0
            let rank = allows &<< 32 | UInt64(recordWord(record, RecordWord.rule))
            guard rank < best else { return }
            let wanted = recordWord(record, RecordWord.source)
            if wanted != SnapshotLayout.none {
                if operation.known.contains(.source) {
                    guard source(operation, &search) == wanted else { return }
                    isOpen = false
                } else {
                    isOpen = true
                }
            } else {
                isOpen = false
            }
            best = rank
            deciding = record
        }
        guard isBounded else { return Verdict(effect: .block, rule: .patternLimit) }
        guard deciding >= 0 else { return nil }
        return isOpen ? .needs(.source) : decide(deciding, operation)
    }

    /// What the deciding rule says.
    @inline(__always)
    private func decide(_ record: Int, _ operation: ObjectOperation) -> Verdict {
        let denial = denial(record, operation)
        guard denial.missing.isEmpty else { return .needs(denial.missing) }
        return Verdict(effect: denial.denies ? .block : .allow, rule: ruleID(record))
    }
}
