import PolicyModel

extension Snapshot {
    /// The verdict on a socket(2) call: type without flags, protocol, and whether the family is AF_INET or AF_INET6.
    /// `nil` facts are unknown; they are named in `missing` when they matter.
    public func protocolVerdict(
        type: Int32, protocolNumber: Int32, isInternet: Bool, source: UnsafeRawBufferPointer?, hasTerminal: Bool?
    ) -> Verdict {
        let typeNode = find(decimal: UInt32(bitPattern: type), .socketType)
        let key = SocketNumbers.protocolKey(type: type, number: protocolNumber)
        let protocolNode = isInternet ? find(decimal: UInt32(bitPattern: key), .protocolNumber) : -1
        return keyed(
            .networkProtocol, bound: [typeNode, protocolNode], own: [typeNode, protocolNode], source: source
        ) { rule in
            guard flags(rule) & SnapshotLayout.Flag.noTerminal != 0 else { return (action(rule) != .allow, []) }
            guard let hasTerminal else { return (false, .terminal) }
            return (hasTerminal, [])
        }
    }

    /// The verdict on a DNS query; the name in any case, with or without a trailing dot.
    public func dnsVerdict(name: UnsafeRawBufferPointer, source: UnsafeRawBufferPointer?) -> Verdict {
        guard hasRules(in: .dns) else { return .allowed }
        var length = name.count
        while length > 0, name[length - 1] == UInt8(ascii: ".") { length -= 1 }
        guard length <= 255 else { return unmatched(.dns) }
        return withUnsafeTemporaryAllocation(byteCount: 256, alignment: 8) { lower in
            for index in 0..<length {
                let byte = name[index]
                lower[index] = byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
            }
            return withUnsafeTemporaryAllocation(of: Int32.self, capacity: 11) { found in
                var count = 0
                var start = 0
                while count < 11 {
                    found[count] = find(UnsafeRawBufferPointer(rebasing: lower[start..<length]), .domain)
                    count += 1
                    guard let dot = lower[start..<length].firstIndex(of: UInt8(ascii: ".")) else { break }
                    start = dot + 1
                }
                let nodes = UnsafeBufferPointer(rebasing: found[0..<count])
                return keyed(.dns, bound: nodes, own: nodes, source: source) { (action($0) != .allow, []) }
            }
        }
    }

    /// The verdict on the use of a capability, by its kernel number.
    public func capabilityVerdict(_ number: UInt8, source: UnsafeRawBufferPointer?) -> Verdict {
        let node = find(decimal: UInt32(number), .capability)
        return keyed(.capability, bound: [node], own: [node], source: source) { (action($0) != .allow, []) }
    }

    /// Whether a system call is to be reported; never blocks.
    public func syscallVerdict(
        name: UnsafeRawBufferPointer, path: UnsafeRawBufferPointer?, source: UnsafeRawBufferPointer?
    ) -> Verdict {
        let node = find(name, .systemCall)
        guard node >= 0 else { return .allowed }
        let entry = nodes + Int(node) &* 32
        let start = Int(Self.word(entry, 3))
        for index in start..<(start + Int(Self.word(entry, 4))) {
            let rule = Int(Self.word(ruleRefs, index))
            let subject = UnsafeRawBufferPointer(
                start: text + Int(Self.word(rules + rule &* 32, 1)), count: Int(Self.word(rules + rule &* 32, 2)))
            if !subject.isEmpty {
                guard let path, Self.covers(subject, path, recursive: flags(rule) & SnapshotLayout.Flag.recursive != 0)
                else {
                    continue
                }
            }
            if argumentCount(rule) > 0 {
                guard let source else { return .needs(.source) }
                guard sourcesInclude(rule, source) else { continue }
            }
            return Verdict(effect: .audit, rule: RuleID(rawValue: UInt32(rule)))
        }
        return .allowed
    }

    // MARK: - Parts

    private func sourcesInclude(_ rule: Int, _ source: UnsafeRawBufferPointer) -> Bool {
        let start = Int(Self.word(rules + rule &* 32, 3))
        for index in start..<(start + argumentCount(rule)) {
            var listed = UnsafeRawBufferPointer(
                start: text + Int(Self.word(arguments, index * 2)), count: Int(Self.word(arguments, index * 2 + 1)))
            var recursive = false
            if listed.last == UInt8(ascii: "\n") {
                recursive = true
                listed = UnsafeRawBufferPointer(rebasing: listed.dropLast())
            }
            if Self.covers(listed, source, recursive: recursive) { return true }
        }
        return false
    }

    /// Equal, or below a directory that ends in `/`: its children only, unless recursive.
    private static func covers(
        _ subject: UnsafeRawBufferPointer, _ path: UnsafeRawBufferPointer, recursive: Bool
    ) -> Bool {
        guard path.starts(with: subject) else { return false }
        if path.count == subject.count { return true }
        guard subject.last == UInt8(ascii: "/") else { return false }
        return recursive || !path[subject.count...].contains(UInt8(ascii: "/"))
    }

    private func find(decimal number: UInt32, _ table: SnapshotLayout.Table) -> Int32 {
        withUnsafeTemporaryAllocation(byteCount: 10, alignment: 1) { digits in
            var start = 10
            var rest = number
            repeat {
                start -= 1
                digits[start] = UInt8(0x30 + rest % 10)
                rest /= 10
            } while rest > 0
            return find(UnsafeRawBufferPointer(rebasing: digits[start...]), table)
        }
    }

    private func unmatched(_ category: Category) -> Verdict {
        guard isAllowList(category) else { return .allowed }
        switch posture(category) {
        case .allow: return .allowed
        case .audit: return Verdict(effect: .audit, rule: .defaultPosture)
        case .block: return Verdict(effect: .block, rule: .defaultPosture)
        }
    }

    private func keyed(
        _ category: Category, bound: some Sequence<Int32>, own: some Sequence<Int32>, source: UnsafeRawBufferPointer?,
        _ denial: (Int) -> (denies: Bool, missing: FactSet)
    ) -> Verdict {
        var asksSource = false
        for node in bound where node >= 0 && sourcedCount(node, audit: false) > 0 { asksSource = true }
        if asksSource && source == nil { return .needs(.source) }
        let id = source.map(sourceID)
        var deciding: Int?
        if let id { for node in bound where deciding == nil && node >= 0 { deciding = boundRule(node, id) } }
        for node in own where deciding == nil && node >= 0 { deciding = ownRule(node) }
        var verdict = unmatched(category)
        if let deciding {
            let answer = denial(deciding)
            if !answer.missing.isEmpty { return .needs(answer.missing) }
            verdict = Verdict(effect: answer.denies ? .block : .allow, rule: RuleID(rawValue: UInt32(deciding)))
        }
        guard verdict.effect != .block else { return verdict }
        asksSource = false
        for node in bound where node >= 0 && sourcedCount(node, audit: true) > 0 { asksSource = true }
        if asksSource && source == nil { return .needs(.source) }
        if let id {
            for node in bound where node >= 0 {
                let entry = nodes + Int(node) &* 32
                let start = Int(Self.word(entry, 5))
                for index in start..<(start + Int(Self.word(entry, 6))) where Self.word(sourcedRefs, index * 2) == id {
                    if let audit = fires(Int(Self.word(sourcedRefs, index * 2 + 1)), denial) { return audit }
                }
            }
        }
        for node in own where node >= 0 {
            let entry = nodes + Int(node) &* 32
            let start = Int(Self.word(entry, 3))
            for index in start..<(start + Int(Self.word(entry, 4))) {
                if let audit = fires(Int(Self.word(ruleRefs, index)), denial) { return audit }
            }
        }
        return verdict
    }

    private func fires(_ rule: Int, _ denial: (Int) -> (denies: Bool, missing: FactSet)) -> Verdict? {
        let answer = denial(rule)
        if !answer.missing.isEmpty { return .needs(answer.missing) }
        return answer.denies ? Verdict(effect: .audit, rule: RuleID(rawValue: UInt32(rule))) : nil
    }
}
