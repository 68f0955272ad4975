import Glibc

extension Snapshot {
    /// Whether any rule is about a system call.
    public func names(systemCall name: UnsafeRawBufferPointer) -> Bool {
        hasRules(in: .syscall)
            && (find(name, KeySpace.systemCall) >= 0 || find(name, KeySpace.blockedSystemCall) >= 0)
    }

    /// Whether a system call is refused, whatever it is about; never audits.
    public func blockedCallVerdict(name: UnsafeRawBufferPointer, source: UnsafeRawBufferPointer?) -> Verdict {
        guard hasRules(in: .syscall) else { return .allowed }
        let node = find(name, KeySpace.blockedSystemCall)
        guard node >= 0 else { return .allowed }
        var best = FirstRule()
        consider(audits(node, NodeWord.exactAudits), recursion: nil, source, &best)
        guard best.rule != SnapshotLayout.none else { return .allowed }
        return best.isOpen ? .needs(.source) : Verdict(effect: .block, rule: RuleID(rawValue: best.rule))
    }

    /// Whether a system call is to be reported; never blocks. `path` is `nil` for a call without one.
    public func syscallVerdict(
        name: UnsafeRawBufferPointer, path: UnsafeRawBufferPointer?, source: UnsafeRawBufferPointer?
    ) -> Verdict {
        guard hasRules(in: .syscall) else { return .allowed }
        let node = find(name, KeySpace.systemCall)
        guard node >= 0 else { return .allowed }
        var best = FirstRule()
        consider(audits(node, NodeWord.exactAudits), recursion: nil, source, &best)
        if let path, let start = path.baseAddress {
            let space = KeySpace.systemCallPaths &+ UInt32(truncatingIfNeeded: node)
            var lastSlash = path.count &- 1
            while lastSlash >= 0, path[lastSlash] != UInt8(ascii: "/") { lastSlash &-= 1 }
            let whole = hash.walk(path, space, limit: systemCallDepth) { end, hash in
                let node = find(hash, space, start, end)
                guard node >= 0 else { return }
                let range = audits(node, NodeWord.directoryAudits)
                consider(range, recursion: RecordFlag.recursive, source, &best)
                if end == lastSlash { consider(range, recursion: 0, source, &best) }
            }
            let node = find(whole, space, start, path.count)
            if node >= 0 { consider(audits(node, NodeWord.exactAudits), recursion: nil, source, &best) }
        }
        guard best.rule != SnapshotLayout.none else { return .allowed }
        return best.isOpen ? .needs(.source) : Verdict(effect: .audit, rule: RuleID(rawValue: best.rule))
    }

    /// The first rule in list order that matches, or may match.
    private struct FirstRule {
        var rule = SnapshotLayout.none
        var isOpen = false
    }

    private func consider(
        _ range: RecordRange, recursion: UInt32?, _ source: UnsafeRawBufferPointer?, _ best: inout FirstRule
    ) {
        // Records are in list order.
        for record in range.start..<(range.start &+ range.count) {
            let rule = recordWord(record, RecordWord.rule)
            guard rule < best.rule else { return }
            if let recursion, recordWord(record, RecordWord.flags) & RecordFlag.recursive != recursion { continue }
            let count = Int(recordWord(record, RecordWord.stringCount))
            if count == 0 {
                best = FirstRule(rule: rule)
            } else if let source {
                guard names(source, Int(recordWord(record, RecordWord.strings)), count) else { continue }
                best = FirstRule(rule: rule)
            } else {
                best = FirstRule(rule: rule, isOpen: true)
            }
            return
        }
    }

    private func names(_ source: UnsafeRawBufferPointer, _ first: Int, _ count: Int) -> Bool {
        guard let start = source.baseAddress else { return false }
        for index in first..<(first &+ count) {
            let listed = string(index)
            let length = Int(listed.length & ~SnapshotLayout.recursiveSource)
            guard length > 0, length <= source.count, memcmp(listed.start, start, length) == 0 else { continue }
            if listed.start.load(fromByteOffset: length &- 1, as: UInt8.self) != UInt8(ascii: "/") {
                if length == source.count { return true }
            } else if listed.length & SnapshotLayout.recursiveSource != 0
                || memchr(start + length, Int32(UInt8(ascii: "/")), source.count &- length) == nil
            {
                return true
            }
        }
        return false
    }
}
