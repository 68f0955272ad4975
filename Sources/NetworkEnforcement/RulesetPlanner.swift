import PolicyEngine
import PolicyModel

/// Makes the ruleset of network policies: pure, the same policies give the same ruleset.
///
/// Policies count in the order given, their rules in the order written; the first that matches decides, as KubeArmor has it.
public struct RulesetPlanner {
    /// What the plan is about.
    public struct Settings: Sendable {
        /// What becomes of packets that no rule of an allow-list lets through.
        public var posture: Posture
        /// The generation of the policies.
        public var generation: UInt64
        /// Group of nfnetlink_log.
        public var logGroup: UInt16
        /// Number of the first rule.
        public var firstRule: Int
        /// Whom the rules are for.
        public var workload: UInt64

        /// Creates settings; the host's by default.
        public init(
            posture: Posture, generation: UInt64, logGroup: UInt16, firstRule: Int,
            workload: UInt64 = SnapshotBundle.host
        ) {
            self.posture = posture
            self.generation = generation
            self.logGroup = logGroup
            self.firstRule = firstRule
            self.workload = workload
        }
    }

    /// Group of nfnetlink_log unless configured: far from 0, which others take.
    public static let defaultLogGroup: UInt16 = 20557

    private let settings: Settings
    private var draft: RulesetDraft
    /// What people are told of each rule, in the order of their numbers.
    private var rules: [RuleDescription] = []

    private init(_ settings: Settings) {
        self.settings = settings
        draft = RulesetDraft(settings)
    }

    /// The ruleset of policies, and their rules.
    ///
    /// - Parameters:
    ///   - policies: network policies for this workload.
    ///   - decisions: what other rules mean for packets that leave.
    public static func plan(
        _ policies: [Policy], _ decisions: PacketDecisions = PacketDecisions(), _ settings: Settings
    ) -> (ruleset: Ruleset, rules: [RuleDescription]) {
        var planner = RulesetPlanner(settings)
        planner.draft.add(decisions.protocols)
        if let domains = decisions.domains { planner.draft.add(domains) }
        for direction in PacketRule.Direction.allCases {
            var selected: [RulesetDraft.Selected] = []
            for policy in policies { selected += planner.read(policy, direction) }
            planner.draft.add(selected, direction)
        }
        // An allow-list closes both directions, whichever its rules are about.
        let closes = policies.contains { $0.attributes.action == .allow && !($0.ingress + $0.egress).isEmpty }
        if closes, settings.posture != .allow { planner.draft.close(settings.posture) }
        return (planner.draft.finished(), planner.rules)
    }

    private mutating func read(_ policy: Policy, _ direction: PacketRule.Direction) -> [RulesetDraft.Selected] {
        let items = direction == .ingress ? policy.ingress : policy.egress
        return items.enumerated().compactMap { index, item in
            let number = settings.firstRule + rules.count
            var packet = PacketRule(direction: direction)
            if !item.limit.isEmpty {
                packet.quotaLimit = item.limit
                packet.quotaLevel =
                    settings.workload == SnapshotBundle.host
                    ? "host" : policy.level.isEmpty ? "pod" : policy.level.lowercased()
            }
            var selected: RulesetDraft.Selected?
            do throws(PacketSelection.Problem) {
                selected = RulesetDraft.Selected(
                    rule: UInt32(number), packets: try PacketSelection(item), action: item.attributes.action,
                    quota: quota(policy, item, direction, index))
            } catch { packet.problem = error.text }
            rules.append(
                RuleDescription(
                    id: RuleID(rawValue: UInt32(number)), of: policy, packet: packet,
                    subject: PacketSelection.text(item, direction == .ingress ? "from" : "to"),
                    attributes: item.attributes, position: item.position, workload: settings.workload))
            return selected
        }
    }

    private func quota(
        _ policy: Policy, _ item: NetworkPolicyRule, _ direction: PacketRule.Direction, _ index: Int
    ) -> Ruleset.Quota? {
        guard !item.limit.isEmpty, let bytes = QuotaText.bytes(item.limit) else { return nil }
        let seconds = QuotaText.seconds(item.duration).map { UInt64(min(max($0, 0), 1e12)) } ?? 0
        // The kernel's names have 255 bytes, a policy's up to 253.
        let name = String(policy.name.prefix(200)).map { $0 == "-" || $0 == "." ? "_" : $0 }
        return Ruleset.Quota(
            name: "quota_\(String(name))_\(direction == .ingress ? "Ingress" : "Egress")_\(index)", bytes: bytes,
            seconds: seconds)
    }
}
