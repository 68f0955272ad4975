import PolicyEngine
import PolicyModel

/// A ruleset that is being made from the rules of network policies.
struct RulesetDraft {
    /// A rule of a policy.
    struct Selected {
        var rule: UInt32
        var packets: PacketSelection
        var action: RuleAction
        var quota: Ruleset.Quota?
    }

    private let settings: RulesetPlanner.Settings
    private var ruleset: Ruleset
    private var decisions: [Ruleset.Hook: [Ruleset.Rule]] = [:]
    private var quotas: [Ruleset.Hook: [Ruleset.Rule]] = [:]
    /// Chains that rules go to.
    private var targets: [Ruleset.Chain] = []
    /// Rules on the transports of packets that leave.
    private var protocols: [Ruleset.Rule] = []
    /// Chains about names.
    private var domains: [Ruleset.Chain] = []
    private var mapCount = 0

    /// Logged packets a second and rule, after a burst: enough to tell what happens, and no flood of them.
    private static let rate = Ruleset.Match.rate(perSecond: 100, burst: 200)
    /// NF_CT_STATE_BIT of established and related.
    private static let knownFlows: UInt32 = 1 << 1 | 1 << 2
    private static let closed = "closed"

    init(_ settings: RulesetPlanner.Settings) {
        self.settings = settings
        ruleset = Ruleset(logGroup: settings.logGroup)
    }

    private static func hook(_ direction: PacketRule.Direction) -> Ruleset.Hook {
        direction == .ingress ? .input : .output
    }

    private static func side(_ hook: Ruleset.Hook) -> Ruleset.Side { hook == .input ? .source : .destination }

    /// Without its neighbours a machine has no IPv6, and their messages are never part of a flow: listeners of groups (130 to 132,
    /// 143), routers and neighbours (133 to 137). RFC 4890, 4.4.1.
    private static let neighbours = [UInt8(130)...137, 143...143].map { types in
        Ruleset.Rule(matches: [.icmpv6(first: types.lowerBound, last: types.upperBound)], action: .decide(.accept))
    }

    // MARK: - Rules

    /// Adds what rules on sockets mean for packets that leave, those to loopback too. What arrives is for sockets that may have been
    /// there before, of which such rules say nothing.
    mutating func add(_ decisions: [ProtocolDecision]) {
        for decision in decisions {
            let name = decision.rule == .defaultPosture ? "unlisted" : "rule-\(decision.rule.rawValue)"
            if !targets.contains(where: { $0.name == name }) {
                targets.append(
                    Self.reporting(
                        name, tag(decision.rule.rawValue, decision.blocks ? .protocolBlock : .protocolAudit),
                        decision.blocks ? .drop : .accept))
            }
            protocols.append(
                Ruleset.Rule(matches: [.transport(decision.transport)], action: .decide(.goto(name))))
        }
    }

    /// Adds what rules on name queries mean for packets that leave, those to loopback too: a resolver may be there.
    mutating func add(_ decisions: DomainDecisions) {
        domains = DomainChains(decisions, tag: tag).chains
    }

    /// Adds the rules of one direction, in order.
    mutating func add(_ selected: [Selected], _ direction: PacketRule.Direction) {
        let hook = Self.hook(direction)
        for item in selected {
            guard var quota = item.quota else { continue }
            while ruleset.quotas.contains(where: { $0.name == quota.name }) { quota.name += "_" }
            ruleset.quotas.append(quota)
            let target = target(item, PacketTag.Effect.quota(item.action))
            quotas[hook, default: []] += rules(item, hook).map { rule in
                var rule = rule
                rule.matches.append(.quota(quota.name))
                rule.action = .decide(target)
                return rule
            }
        }
        var rest = selected.filter { $0.quota == nil }[...]
        while !rest.isEmpty {
            // Rules that differ in their ports alone, or in their addresses alone, are one look into a map.
            let byPorts = rest.prefix { $0.packets.isByPortsAlone }
            let byAddresses = rest.prefix { $0.packets.isByAddressesAlone }
            if byPorts.count > 1 {
                addPortMaps(Array(byPorts), hook)
            } else if byAddresses.count > 1 {
                addAddressMaps(Array(byAddresses), hook)
            } else if let item = rest.first {
                let verdict = verdict(item)
                decisions[hook, default: []] += rules(item, hook).map { rule in
                    var rule = rule
                    rule.action = .decide(verdict)
                    return rule
                }
            }
            rest = rest.dropFirst(max(1, byPorts.count, byAddresses.count))
        }
    }

    /// What no rule has decided is refused, or reported.
    mutating func close(_ posture: Posture) {
        for hook in [Ruleset.Hook.input, .output] {
            decisions[hook, default: []] += Self.neighbours
            decisions[hook, default: []].append(Ruleset.Rule(action: .decide(.goto(Self.closed))))
        }
        targets.append(
            Self.reporting(
                Self.closed, tag(RuleID.defaultPosture.rawValue, posture == .block ? .block : .audit),
                posture == .block ? .drop : .accept))
    }

    private func tag(_ rule: UInt32, _ effect: PacketTag.Effect) -> String {
        PacketTag(generation: settings.generation, rule: rule, effect: effect).text
    }

    private mutating func verdict(_ item: Selected) -> Ruleset.Verdict {
        switch item.action {
        case .allow: .accept
        case .audit: target(item, .audit)
        case .block: target(item, .block)
        }
    }

    /// The chain that reports a rule's packets and decides them.
    private mutating func target(_ item: Selected, _ effect: PacketTag.Effect) -> Ruleset.Verdict {
        let name = "rule-\(item.rule)"
        targets.append(
            Self.reporting(name, tag(item.rule, effect), effect == .audit || effect == .quotaAudit ? .accept : .drop))
        return .goto(name)
    }

    private static func reporting(_ name: String, _ text: String, _ verdict: Ruleset.Verdict) -> Ruleset.Chain {
        Ruleset.Chain(
            name: name,
            rules: [
                Ruleset.Rule(matches: [rate], log: text),
                Ruleset.Rule(counts: true, action: .decide(verdict)),
            ])
    }

    // MARK: - Conditions

    /// The conditions of a rule: several rules where addresses are of both families, or ports of several transports.
    private mutating func rules(_ item: Selected, _ hook: Ruleset.Hook) -> [Ruleset.Rule] {
        let packets = item.packets
        var common: [Ruleset.Match] = []
        if packets.interfaces.count == 1 {
            common.append(.interface(hook, packets.interfaces[0]))
        } else if !packets.interfaces.isEmpty {
            let name = "rule-\(item.rule)-interfaces"
            ruleset.sets.append(
                Ruleset.Set(name: name, key: .interface, isMap: false, ranges: [], interfaces: packets.interfaces))
            common.append(.interfaces(hook, set: name))
        }
        var addresses: [[Ruleset.Match]] = packets.hasAddresses ? [] : [[]]
        for family in AddressFamily.allCases {
            guard let prefixes = packets.addresses[family] else { continue }
            addresses.append([addressMatch(item, family, prefixes, Self.side(hook))])
        }
        var ports: [[Ruleset.Match]] = packets.ports.isEmpty ? [[]] : []
        for transport in PacketSelection.Transport.allCases {
            guard let ranges = packets.ports[transport] else { continue }
            ports.append([.transport(transport.rawValue), portMatch(item, transport, ranges)])
        }
        return addresses.flatMap { address in ports.map { Ruleset.Rule(matches: common + address + $0) } }
    }

    private mutating func addressMatch(
        _ item: Selected, _ family: AddressFamily, _ prefixes: [AddressPrefix], _ side: Ruleset.Side
    ) -> Ruleset.Match {
        if prefixes.count == 1 { return .prefix(side, prefixes[0]) }
        let name = "rule-\(item.rule)-ipv\(family.rawValue)"
        addSet(name, family == .ipv4 ? .ipv4 : .ipv6, RangeList.union(prefixes.map(\.range)))
        return .addresses(side, family, set: name)
    }

    private mutating func portMatch(
        _ item: Selected, _ transport: PacketSelection.Transport, _ ranges: [ClosedRange<UInt128>]
    ) -> Ruleset.Match {
        let ranges = RangeList.union(ranges)
        if ranges.count == 1 {
            return .ports(first: UInt16(ranges[0].lowerBound), last: UInt16(ranges[0].upperBound))
        }
        let name = "rule-\(item.rule)-\(transport.name)"
        addSet(name, .port, ranges)
        return .portSet(name)
    }

    private mutating func addSet(_ name: String, _ key: Ruleset.Key, _ ranges: [ClosedRange<UInt128>]) {
        ruleset.sets.append(
            Ruleset.Set(
                name: name, key: key, isMap: false,
                ranges: ranges.map { Ruleset.Element(first: $0.lowerBound, last: $0.upperBound) }, interfaces: []))
    }

    // MARK: - Maps

    private mutating func addPortMaps(_ items: [Selected], _ hook: Ruleset.Hook) {
        let verdicts = items.map { verdict($0) }
        for transport in PacketSelection.Transport.allCases {
            let lists = items.map { $0.packets.ports[transport] ?? [] }
            guard let map = addMap(.port, lists, verdicts) else { continue }
            decisions[hook, default: []].append(
                Ruleset.Rule(matches: [.transport(transport.rawValue)], action: .mapPort(map)))
        }
    }

    private mutating func addAddressMaps(_ items: [Selected], _ hook: Ruleset.Hook) {
        let verdicts = items.map { verdict($0) }
        for family in AddressFamily.allCases {
            let lists = items.map { ($0.packets.addresses[family] ?? []).map(\.range) }
            guard let map = addMap(family == .ipv4 ? .ipv4 : .ipv6, lists, verdicts) else { continue }
            decisions[hook, default: []].append(Ruleset.Rule(action: .mapAddress(Self.side(hook), family, map)))
        }
    }

    private mutating func addMap(
        _ key: Ruleset.Key, _ lists: [[ClosedRange<UInt128>]], _ verdicts: [Ruleset.Verdict]
    ) -> String? {
        let owned = RangeList.firstOwners(lists)
        if owned.isEmpty { return nil }
        mapCount += 1
        let name = "map-\(mapCount)"
        ruleset.sets.append(
            Ruleset.Set(
                name: name, key: key, isMap: true,
                ranges: owned.map {
                    Ruleset.Element(
                        first: $0.range.lowerBound, last: $0.range.upperBound, verdict: verdicts[$0.owner])
                }, interfaces: []))
        return name
    }

    // MARK: - End

    private static let loopback = "lo"

    /// The whole ruleset; hooks that no rule is about stay free.
    func finished() -> Ruleset {
        var result = ruleset
        let known = Ruleset.Rule(matches: [.flowState(Self.knownFlows)], action: .decide(.accept))
        if !protocols.isEmpty {
            result.chains.append(
                Ruleset.Chain(
                    name: "protocols", hook: .output, priority: -1, rules: [known] + Self.neighbours + protocols))
        }
        for hook in Ruleset.Hook.allCases {
            let loopback = Ruleset.Rule(matches: [.interface(hook, Self.loopback)], action: .decide(.accept))
            if let rules = decisions[hook], !rules.isEmpty {
                result.chains.append(
                    Ruleset.Chain(name: "\(hook)", hook: hook, priority: 0, rules: [loopback, known] + rules))
            }
            // After the decisions: what they refuse is not counted; before them a known flow would not be counted.
            if let rules = quotas[hook], !rules.isEmpty {
                result.chains.append(
                    Ruleset.Chain(name: "\(hook)-quota", hook: hook, priority: 1, rules: [loopback] + rules))
            }
        }
        result.chains += domains + targets
        result.quotas.sort { $0.name < $1.name }
        return result
    }
}

extension PacketTag.Effect {
    /// What is done when a quota is used up.
    static func quota(_ action: RuleAction) -> PacketTag.Effect { action == .audit ? .quotaAudit : .quotaBlock }
}
