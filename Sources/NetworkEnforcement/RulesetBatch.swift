import LinuxKernel

extension Ruleset {
    /// Names that a table holds now.
    struct Present: Sendable {
        var chains: [NetfilterSocket.Item] = []
        var sets: [NetfilterSocket.Item] = []
        var quotas: [NetfilterSocket.Item] = []

        var isEmpty: Bool { chains.isEmpty && sets.isEmpty && quotas.isEmpty }
    }

    /// The transaction that makes the table hold this and nothing else. Quotas that mean the same go on counting.
    ///
    /// - Parameter present: `nil`: whatever it may be. Quotas begin anew then, and so do base chains: a packet that came to the table's hooks
    ///   before the transaction began and leaves them after it may meet neither the old rules nor the new.
    func batch(replacing present: Present?, table: String = Self.table) throws(KernelError) -> NetfilterBatch {
        let batch = try NetfilterBatch(table: table)
        // Deleting what is not there would be an error.
        batch.addTable()
        if isEmpty || present == nil { batch.deleteTable() }
        if isEmpty { return batch }
        if present == nil { batch.addTable() }
        let present = present ?? Present()
        // Base chains that stay are only emptied: nothing passes between the old rules and the new.
        let kept = Swift.Set(chains.filter { $0.hook != nil }.map(\.name))
            .intersection(present.chains.map(\.name))
        let keptQuotas = Swift.Set(quotas.filter { quota in present.quotas.contains(where: quota.isSame) }.map(\.name))
        if !present.isEmpty { batch.flushRules() }
        for set in present.sets { batch.deleteSet(set.name) }
        for chain in present.chains where !kept.contains(chain.name) { batch.deleteChain(chain.name) }
        for quota in present.quotas where !keptQuotas.contains(quota.name) { batch.deleteQuota(quota.name) }
        for quota in quotas where !keptQuotas.contains(quota.name) { batch.addQuota(quota.name, bytes: quota.bytes) }
        for chain in chains where !kept.contains(chain.name) {
            if let hook = chain.hook {
                batch.addChain(chain.name, hook: hook.kernel, priority: chain.priority)
            } else {
                batch.addChain(chain.name)
            }
        }
        for set in sets {
            batch.addSet(
                set.name, set.key.kernel, isInterval: set.key != .interface, isMap: set.isMap, set.elements)
        }
        for chain in chains {
            for rule in chain.rules {
                batch.addRule(chain: chain.name, label: "rule in \(chain.name)") { rule.build($0, self) }
            }
        }
        return batch
    }
}

extension Ruleset.Quota {
    fileprivate func isSame(_ item: NetfilterSocket.Item) -> Bool { item.name == name && item.limit == bytes }
}

extension Ruleset.Hook {
    var kernel: NetfilterBatch.Hook {
        switch self {
        case .input: .input
        case .forward: .forward
        case .output: .output
        }
    }
}

extension Ruleset.Key {
    var kernel: NetfilterBatch.Key {
        switch self {
        case .ipv4: .ipv4
        case .ipv6: .ipv6
        case .port: .port
        case .interface: .interface
        }
    }

    /// Bytes of a key.
    var length: Int {
        switch self {
        case .ipv4: 4
        case .ipv6, .interface: 16
        case .port: 2
        }
    }

    /// The greatest number that a key can be.
    var last: UInt128 { length == 16 ? .max : (UInt128(1) << UInt128(8 * length)) - 1 }
}

extension Ruleset.Verdict {
    var kernel: NetfilterBatch.Verdict {
        switch self {
        case .accept: .accept
        case .drop: .drop
        case .goto(let chain): .goto(chain)
        case .jump(let chain): .jump(chain)
        case .leave: .leave
        }
    }
}

extension Ruleset.Side {
    var kernel: NetfilterRule.Side { self == .source ? .source : .destination }
}

extension Ruleset.Set {
    fileprivate var elements: [NetfilterBatch.Element] {
        if key == .interface {
            return interfaces.map { name in
                NetfilterBatch.Element(key: Array(name.utf8) + [UInt8](repeating: 0, count: 16 - name.utf8.count))
            }
        }
        var result: [NetfilterBatch.Element] = []
        result.reserveCapacity(2 * ranges.count)
        for range in ranges {
            result.append(NetfilterBatch.Element(key: bytes(range.first), verdict: range.verdict?.kernel))
            // After the greatest number there is none that could end the interval.
            if range.last < key.last {
                result.append(NetfilterBatch.Element(key: bytes(range.last + 1), ends: true))
            }
        }
        return result
    }

    private func bytes(_ number: UInt128) -> [UInt8] {
        (0..<key.length).map { UInt8(truncatingIfNeeded: number >> UInt128(8 * (key.length - 1 - $0))) }
    }
}

extension Ruleset.Rule {
    fileprivate func build(_ rule: NetfilterRule, _ ruleset: Ruleset) {
        for match in matches { match.build(rule, readsFar: ruleset.readsFar) }
        if let log { rule.log(group: ruleset.logGroup, prefix: log, bytes: logBytes) }
        if counts { rule.count() }
        switch action {
        case .decide(let verdict): rule.decide(verdict.kernel)
        case .mapPort(let map): rule.mapPort(map: map)
        case .mapAddress(let side, let family, let map):
            rule.mapAddress(side.kernel, length: family.length, map: map)
        case .none: break
        }
    }
}

extension Ruleset.Match {
    fileprivate func build(_ rule: NetfilterRule, readsFar: Bool) {
        switch self {
        case .interface(let hook, let name): rule.matchInterface(name, isOutput: hook == .output)
        case .interfaces(let hook, let set): rule.matchInterfaces(set: set, isOutput: hook == .output)
        case .prefix(let side, let prefix):
            rule.matchPrefix(side.kernel, prefix.address, bits: prefix.bits)
        case .addresses(let side, let family, let set):
            rule.matchAddresses(side.kernel, length: family.length, set: set)
        case .transport(let number): rule.matchTransport(number)
        case .ports(let first, let last): rule.matchPorts(first...max(first, last))
        case .portSet(let set): rule.matchPorts(set: set)
        case .flowState(let mask): rule.matchFlowState(mask)
        case .icmpv6(let first, let last): rule.matchICMPv6(first...max(first, last))
        case .cgroup(let id, let level): rule.matchCgroup(id, level: level)
        case .netClass(let id): rule.matchClass(id)
        case .users(let first, let last): rule.matchUsers(first...max(first, last))
        case .quota(let name): rule.matchQuota(name)
        case .rate(let rate, let burst): rule.matchRate(rate, burst: burst)
        case .payload(let offset, let mask, let value):
            rule.matchPayload(value, mask: mask, at: UInt32(offset), readsFar: readsFar)
        case .payloadByte(let offset, let first, let last):
            rule.matchPayloadByte(first...max(first, last), at: UInt32(offset), readsFar: readsFar)
        case .shorter(let length): rule.matchShorter(than: UInt32(length))
        }
    }
}
