extension Snapshot {
    /// The verdict on a socket(2) call: type and protocol, and whether the family is AF_INET or AF_INET6. SOCK_NONBLOCK and
    /// SOCK_CLOEXEC in `type` are ignored.
    ///
    /// `nil` facts are unknown; they are named in `missing` when they matter. An empty source is a caller without executable.
    public func protocolVerdict(
        type: Int32, protocolNumber: Int32, isInternet: Bool, source: UnsafeRawBufferPointer?, hasTerminal: Bool?
    ) -> Verdict {
        typealias Direct = SnapshotLayout.Direct
        guard hasRules(in: .networkProtocol) else { return .allowed }
        let kind = type & 0xF
        let number = isInternet ? Self.protocolKey(type: kind, number: protocolNumber) : -1
        var operation = KeyedOperation(source: source)
        operation.hasTerminal = hasTerminal
        let typeNode = direct.word(at: 4 &* (Direct.types &+ Int(kind)))
        let isKey = number >= 0 && number < Direct.protocolCount
        let protocolNode = isKey ? direct.word(at: 4 &* (Direct.protocols &+ Int(number))) : SnapshotLayout.none
        return decide(.networkProtocol, Self.node(typeNode), Self.node(protocolNode), &operation)
    }

    /// The transport that a socket's type and protocol number mean; -1 for none. Sockets of the number 0 have the default
    /// protocol of their type. MPTCP (IPPROTO_MPTCP, Linux 5.6) is TCP on the wire, and so is SMC (IPPROTO_SMC, 6.11) with whoever has not got it.
    private static func protocolKey(type: Int32, number: Int32) -> Int32 {
        if number == 262 || number == 256 { return 6 }
        guard number == 0 else { return number }
        return switch type {
        case 1: 6
        case 2: 17
        case 5: 132
        default: 0
        }
    }

    /// The verdict on the use of a capability, by its kernel number.
    public func capabilityVerdict(_ number: UInt8, source: UnsafeRawBufferPointer?) -> Verdict {
        typealias Direct = SnapshotLayout.Direct
        guard hasRules(in: .capability) else { return .allowed }
        let isKey = Int(number) < Direct.capabilityCount
        let node = isKey ? direct.word(at: 4 &* (Direct.capabilities &+ Int(number))) : SnapshotLayout.none
        var operation = KeyedOperation(source: source)
        return decide(.capability, Self.node(node), -1, &operation)
    }

    /// What is known about an operation of a category without paths.
    struct KeyedOperation {
        let source: UnsafeRawBufferPointer?
        var hasTerminal: Bool?
        /// Node of the source.
        var node = SnapshotLayout.none
        var hasNode = false

        init(source: UnsafeRawBufferPointer?) { self.source = source }
    }

    @inline(__always)
    private static func node(_ word: UInt32) -> Int { word == SnapshotLayout.none ? -1 : Int(word) }

    // MARK: - Tiers

    /// Two keys, the first more specific; each with the source before both without.
    private func decide(_ category: Category, _ first: Int, _ second: Int, _ operation: inout KeyedOperation) -> Verdict
    {
        let tiers = (
            boundRecord(first, &operation), boundRecord(second, &operation), ownRecord(first), ownRecord(second)
        )
        let deciding = tiers.0 ?? tiers.1 ?? tiers.2 ?? tiers.3
        var verdict = unmatched(category)
        if let deciding {
            guard deciding.missing.isEmpty else { return .needs(deciding.missing) }
            verdict = self.verdict(deciding.record, operation)
        }
        guard verdict.effect != .block, audited >> UInt32(category.rawValue) & 1 == 1 else { return verdict }
        return boundAudit(first, &operation) ?? boundAudit(second, &operation)
            ?? (first >= 0 ? ownAudit(first, operation) : nil) ?? (second >= 0 ? ownAudit(second, operation) : nil)
            ?? verdict
    }

    /// A record that decides, or what must be known to tell whether one does.
    struct KeyedRecord {
        var record: Int
        var missing: FactSet = []
    }

    @inline(__always)
    func ownRecord(_ node: Int) -> KeyedRecord? {
        guard node >= 0 else { return nil }
        let record = nodeWord(node, NodeWord.exact)
        return record == SnapshotLayout.none ? nil : KeyedRecord(record: Int(record))
    }

    func boundRecord(_ node: Int, _ operation: inout KeyedOperation) -> KeyedRecord? {
        guard node >= 0, nodeFlags(node) & NodeFlag.boundExact != 0 else { return nil }
        guard resolve(&operation) else { return KeyedRecord(record: 0, missing: .source) }
        let range = bound(node, SnapshotLayout.PairKind.exact, operation.node)
        return range.count > 0 ? KeyedRecord(record: range.start) : nil
    }

    func boundAudit(_ node: Int, _ operation: inout KeyedOperation) -> Verdict? {
        guard node >= 0, nodeFlags(node) & NodeFlag.boundExactAudit != 0 else { return nil }
        guard resolve(&operation) else { return .needs(.source) }
        return firstFiring(bound(node, SnapshotLayout.PairKind.exactAudit, operation.node), operation)
    }

    func ownAudit(_ node: Int, _ operation: KeyedOperation) -> Verdict? {
        firstFiring(audits(node, NodeWord.exactAudits), operation)
    }

    /// Looks the source up once; false when it is not known.
    private func resolve(_ operation: inout KeyedOperation) -> Bool {
        if operation.hasNode { return true }
        guard let source = operation.source else { return false }
        operation.node = self.source(source)
        operation.hasNode = true
        return true
    }

    func verdict(_ record: Int, _ operation: KeyedOperation) -> Verdict {
        let denial = denial(record, operation)
        guard denial.missing.isEmpty else { return .needs(denial.missing) }
        return Verdict(effect: denial.denies ? .block : .allow, rule: ruleID(record))
    }

    private func denial(_ record: Int, _ operation: KeyedOperation) -> Denial {
        let flags = recordWord(record, RecordWord.flags)
        let blocks = flags & RecordFlag.allows == 0
        guard flags & RecordFlag.noTerminal != 0 else { return Denial(denies: blocks) }
        // Without a terminal, Block does nothing and Allow allows.
        guard let hasTerminal = operation.hasTerminal else { return Denial(denies: false, missing: .terminal) }
        return Denial(denies: hasTerminal)
    }

    private func firstFiring(_ range: RecordRange, _ operation: KeyedOperation) -> Verdict? {
        var record = range.start
        while record < range.start &+ range.count {
            let denial = denial(record, operation)
            if !denial.missing.isEmpty { return .needs(denial.missing) }
            if denial.denies { return Verdict(effect: .audit, rule: ruleID(record)) }
            record &+= 1
        }
        return nil
    }
}
