import NetworkEnforcement
import PolicyEngine
import PolicyModel

/// The sets of policies that containers share: those who are selected by the same policies, and in whose root these name the same, have one snapshot.
struct PolicySets {
    /// A compiled set.
    struct PolicySet {
        /// As it travels in a bundle.
        var number: UInt64 { SnapshotBundle.set(generation) }
        var generation: UInt64
        var key: Key
        var bytes: [UInt8]
        var rules: [RuleDescription]
        var ruleset: Ruleset
    }

    /// What a set is made of.
    struct Key: Equatable {
        var policies: [Policy]
        var aliases: [PathAlias]
        /// The set is for containers that are held by their calls; what its rules say is the same, but not what holds them.
        var isSupervised: Bool
    }

    private let postures: Postures
    private let packetLogGroup: UInt16
    private(set) var all: [PolicySet] = []
    /// Sets that are not used any more, for alerts that may still be on their way, and for the next container of the kind; oldest first.
    private var unused: [UInt64] = []
    private static let unusedLimit = 32

    init(postures: Postures, packetLogGroup: UInt16) {
        self.postures = postures
        self.packetLogGroup = packetLogGroup
    }

    /// The set with a number.
    subscript(number: UInt64) -> PolicySet? { all.first { $0.number == number } }

    /// The set that was made of these, if there is one.
    func find(_ key: Key) -> PolicySet? { all.first { $0.key == key } }

    /// Makes a set; it is known then.
    ///
    /// - Parameter generation: its number, never used for anything else.
    /// - Throws: what keeps the policies from being compiled.
    mutating func make(_ key: Key, generation: UInt64) throws -> PolicySet {
        let compiled = try SnapshotCompiler().compile(
            policies: key.policies, postures: postures, aliases: key.aliases, generation: generation)
        let number = SnapshotBundle.set(generation)
        var rules = compiled.rules.map { rule in
            var rule = rule
            rule.workload = number
            return rule
        }
        // Where calls are held they tell who sends what, which no packet does.
        let decisions =
            key.isSupervised
            ? PacketDecisions() : try PacketDecisions(of: compiled.bytes, as: number, describing: &rules)
        let (ruleset, packetRules) = RulesetPlanner.plan(
            key.policies.filter { $0.kind == .network }, decisions,
            RulesetPlanner.Settings(
                posture: postures.network, generation: generation, logGroup: packetLogGroup,
                firstRule: rules.count, workload: number))
        rules += packetRules
        let set = PolicySet(generation: generation, key: key, bytes: compiled.bytes, rules: rules, ruleset: ruleset)
        all.append(set)
        return set
    }

    /// Forgets sets that have not been used for long.
    ///
    /// - Parameter used: the numbers of those in use.
    /// - Returns: whether there were any, of which the worker has to be told.
    mutating func forgetUnused(_ used: Set<UInt64>) -> Bool {
        let idle = all.map(\.number).filter { !used.contains($0) }
        unused = unused.filter { idle.contains($0) } + idle.filter { !unused.contains($0) }
        let gone = Set(unused.prefix(max(0, unused.count - Self.unusedLimit)))
        unused.removeAll { gone.contains($0) }
        all.removeAll { gone.contains($0.number) }
        return !gone.isEmpty
    }

    /// The rule behind an id of a set's snapshot.
    func rule(_ id: RuleID, generation: UInt64) -> RuleDescription? {
        let rules = all.first { $0.generation == generation }?.rules
        guard let rules, id.rawValue < UInt32(rules.count) else { return nil }
        return rules[Int(id.rawValue)]
    }

    /// A bundle of some sets, without a host's.
    func bundle(of sets: [PolicySet]) -> [UInt8] {
        SnapshotBundle.encode(sets.map { ($0.number, $0.bytes) }, network: Self.network(sets).encoded())
    }

    /// What the packet filter does for the containers of each set.
    static func network(_ sets: [PolicySet]) -> NetworkBundle {
        NetworkBundle(Dictionary(uniqueKeysWithValues: sets.map { ($0.number, $0.ruleset) }))
    }
}
