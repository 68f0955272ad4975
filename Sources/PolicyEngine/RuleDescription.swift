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
}
