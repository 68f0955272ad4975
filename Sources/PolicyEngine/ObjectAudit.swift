extension Snapshot {
    /// The first firing Audit rule, the facts needed to tell, or `nil`.
    func audit(_ operation: ObjectOperation, _ search: inout ObjectSearch) -> Verdict? {
        let knowsSource = operation.known.contains(.source)
        if search.exact >= 0, nodeFlags(search.exact) & NodeFlag.boundExactAudit != 0 {
            guard knowsSource else { return .needs(.source) }
            let range = bound(search.exact, SnapshotLayout.PairKind.exactAudit, source(operation, &search))
            if let verdict = firstFiring(range, recursion: nil, operation) { return verdict }
        }
        var directories = DirectoryAudits()
        if search.directoryFlags & NodeFlag.directoryAudit != 0 { auditDirectories(operation, &search, &directories) }
        if let verdict = directories.boundRecursive ?? directories.boundDirect { return verdict }
        if search.exact >= 0,
            let verdict = firstFiring(audits(search.exact, NodeWord.exactAudits), recursion: nil, operation)
        {
            return verdict
        }
        if search.isProcess, let verdict = auditName(operation, &search) { return verdict }
        if search.auditBucket != SnapshotLayout.none, let verdict = auditPatterns(operation, &search) {
            return verdict
        }
        return directories.recursive ?? directories.direct
    }

    /// The answers of the directory tiers; each `nil` when nothing in it fires.
    private struct DirectoryAudits {
        var boundRecursive: Verdict?
        var boundDirect: Verdict?
        var recursive: Verdict?
        var direct: Verdict?
    }

    /// Walks down from `/`, so that the answer of the deepest directory stays.
    private func auditDirectories(
        _ operation: ObjectOperation, _ search: inout ObjectSearch, _ found: inout DirectoryAudits
    ) {
        let knowsSource = operation.known.contains(.source)
        let (space, start, lastSlash) = (search.space, search.start, search.lastSlash)
        _ = hash.walk(search.path, space, limit: search.depth) { end, hash in
            let node = find(hash, space, start, end)
            guard node >= 0, nodeFlags(node) & NodeFlag.directoryAudit != 0 else { return }
            let own = audits(node, NodeWord.directoryAudits)
            found.recursive = firstFiring(own, recursion: RecordFlag.recursive, operation) ?? found.recursive
            if end == lastSlash { found.direct = firstFiring(own, recursion: 0, operation) }
            let flags = nodeFlags(node)
            guard flags & (NodeFlag.boundRecursiveAudit | NodeFlag.boundDirectAudit) != 0 else { return }
            if knowsSource {
                let range = bound(node, SnapshotLayout.PairKind.directoryAudit, source(operation, &search))
                found.boundRecursive =
                    firstFiring(range, recursion: RecordFlag.recursive, operation) ?? found.boundRecursive
                if end == lastSlash { found.boundDirect = firstFiring(range, recursion: 0, operation) }
            } else {
                if flags & NodeFlag.boundRecursiveAudit != 0 { found.boundRecursive = .needs(.source) }
                if end == lastSlash, flags & NodeFlag.boundDirectAudit != 0 { found.boundDirect = .needs(.source) }
            }
        }
    }

    private func auditName(_ operation: ObjectOperation, _ search: inout ObjectSearch) -> Verdict? {
        if search.name < 0 { findName(&search) }
        guard search.name >= 0 else { return nil }
        if nodeFlags(search.name) & NodeFlag.boundExactAudit != 0 {
            guard operation.known.contains(.source) else { return .needs(.source) }
            let range = bound(search.name, SnapshotLayout.PairKind.exactAudit, source(operation, &search))
            if let verdict = firstFiring(range, recursion: nil, operation) { return verdict }
        }
        return firstFiring(audits(search.name, NodeWord.exactAudits), recursion: nil, operation)
    }

    private func auditPatterns(_ operation: ObjectOperation, _ search: inout ObjectSearch) -> Verdict? {
        var best = UInt32.max
        var missing: FactSet = []
        let isBounded = matchPatterns(search.auditBucket, search.path) { record in
            let rule = recordWord(record, RecordWord.rule)
            guard rule < best else { return }
            var wanted: FactSet = []
            let bound = recordWord(record, RecordWord.source)
            if bound != SnapshotLayout.none {
                if operation.known.contains(.source) {
                    guard source(operation, &search) == bound else { return }
                } else {
                    wanted = .source
                }
            }
            let denial = denial(record, operation)
            guard denial.denies || !denial.missing.isEmpty else { return }
            best = rule
            missing = denial.missing.union(wanted)
        }
        guard isBounded else { return Verdict(effect: .audit, rule: .patternLimit) }
        guard best != UInt32.max else { return nil }
        return missing.isEmpty ? Verdict(effect: .audit, rule: RuleID(rawValue: best)) : .needs(missing)
    }
}
