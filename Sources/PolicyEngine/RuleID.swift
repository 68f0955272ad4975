/// A rule of one snapshot: its index in `CompiledSnapshot.rules`.
public struct RuleID: RawRepresentable, Hashable, Sendable {
    /// The index, or one of the values below.
    public var rawValue: UInt32

    /// Wraps an index.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// No rule.
    public static let none = RuleID(rawValue: 0xFFFF_FFFF)
    /// The default posture of an allow-listed category.
    public static let defaultPosture = RuleID(rawValue: 0xFFFF_FFFE)
    /// The patterns took more steps on this path than one operation may cost (docs/semantics.md, "Patterns").
    public static let patternLimit = RuleID(rawValue: 0xFFFF_FFFD)
}
