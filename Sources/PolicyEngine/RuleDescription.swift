import PolicyModel

/// What people are told about a rule of a snapshot.
public struct RuleDescription: Sendable, Equatable {
    /// Its id in the snapshot, and in the bundle that the snapshot is part of.
    public var id: RuleID
    /// The policy's name.
    public var policyName: String
    /// The policy's namespace.
    public var policyNamespace: String?
    /// The policy's kind.
    public var policyKind: PolicyKind
    /// What the rule is about.
    public var category: Category
    /// The preset that the rule is, if it is one.
    public var isPreset: PresetName?
    /// The subject as written.
    public var subject: String
    /// Severity, tags, message, action.
    public var attributes: RuleAttributes
    /// `fromSource` as written.
    public var sources: [String]
    /// Where it is written.
    public var position: SourcePosition
    /// Whom it is for: `SnapshotBundle.host`, or the workload's number.
    public var workload: UInt64 = SnapshotBundle.host
    /// A rule on sockets or on names that holds for packets too, whoever sends them.
    public var isOfPackets = false
    /// What of such a rule does not hold for packets.
    public var packetLimits: Set<PacketLimit> = []
    /// Of a network policy's rule, whose category is `networkProtocol`.
    public var packet: PacketRule?

    /// Describes a rule of a network policy.
    public init(
        id: RuleID, of policy: Policy, packet: PacketRule, subject: String, attributes: RuleAttributes,
        position: SourcePosition, workload: UInt64
    ) {
        self.init(
            id: id, policyName: policy.name, policyNamespace: policy.namespace, policyKind: policy.kind,
            category: .networkProtocol, isPreset: nil, subject: subject, attributes: attributes, sources: [],
            position: position, workload: workload, packet: packet)
    }

    init(
        id: RuleID, policyName: String, policyNamespace: String?, policyKind: PolicyKind, category: Category,
        isPreset: PresetName?, subject: String, attributes: RuleAttributes, sources: [String], position: SourcePosition,
        workload: UInt64 = SnapshotBundle.host, packet: PacketRule? = nil
    ) {
        self.id = id
        self.policyName = policyName
        self.policyNamespace = policyNamespace
        self.policyKind = policyKind
        self.category = category
        self.isPreset = isPreset
        self.subject = subject
        self.attributes = attributes
        self.sources = sources
        self.position = position
        self.workload = workload
        self.packet = packet
    }
}
