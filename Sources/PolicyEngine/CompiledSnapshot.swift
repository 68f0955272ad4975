/// The compiler's result.
public struct CompiledSnapshot: Sendable {
    /// The flat table, for `Snapshot(validating:)`.
    public var bytes: [UInt8]
    /// One description a rule, in the order of their ids.
    public var rules: [RuleDescription]
}
