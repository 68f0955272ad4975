import FileEnforcement
import PolicyEngine

/// Which rules of policies a ruleset is made of, and what is to be said of them.
extension Ruleset {
    /// Rules of its chains.
    var ruleCount: Int { chains.reduce(0) { $0 + $1.rules.count } }

    /// The rules of policies that it has chains for; the rest of them only let packets through.
    var policyRules: [RuleID] { Self.numbers(of: chains) }

    /// Of them those of quotas.
    var quotaRules: [RuleID] { rules(reachedFrom: \.isOfQuotas) }

    /// Of them those that packets of some base chains can come to.
    func rules(reachedFrom isStart: (Chain) -> Bool) -> [RuleID] {
        let byName = Dictionary(chains.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let maps = Dictionary(sets.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var reached: Swift.Set<String> = []
        var waiting = chains.filter(isStart).map(\.name)
        while let name = waiting.popLast() {
            guard reached.insert(name).inserted, let chain = byName[name] else { continue }
            for rule in chain.rules {
                switch rule.action {
                case .decide(.goto(let target)), .decide(.jump(let target)): waiting.append(target)
                case .mapPort(let map), .mapAddress(_, _, let map):
                    waiting += (maps[map]?.ranges ?? []).compactMap {
                        if case .goto(let target)? = $0.verdict { target } else { nil }
                    }
                default: break
                }
            }
        }
        return Self.numbers(of: chains.filter { reached.contains($0.name) })
    }

    private static func numbers(of chains: [Chain]) -> [RuleID] {
        chains.compactMap { chain in
            chain.name.hasPrefix("rule-") ? UInt32(chain.name.dropFirst(5)).map(RuleID.init(rawValue:)) : nil
        }
    }

    /// A note on every rule, and one on the whole, as what only lets packets through has no chain of its own to be known by.
    func notes(_ gap: PlanNote.Gap) -> [PlanNote] { (policyRules + [.none]).map { PlanNote(rule: $0, gap: gap) } }

    /// What a kernel with these features does not enforce of it.
    func notes(lacking features: NetworkFeatures) -> [PlanNote] {
        let missing = needs.subtracting(features)
        if !missing.isDisjoint(with: [.tables, .flows]) { return notes(.packetsUnfiltered) }
        var notes: [PlanNote] = []
        if missing.contains(.logs) { notes.append(PlanNote(rule: .none, gap: .packetsUnlogged)) }
        if missing.contains(.farBytes) { notes.append(PlanNote(rule: .none, gap: .namesUnread)) }
        if missing.contains(.quotas) { notes += quotaRules.map { PlanNote(rule: $0, gap: .quotaUnavailable) } }
        return notes
    }
}
