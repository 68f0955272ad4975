/// A rule of a snapshot, unique in the bundle that the snapshot is part of.
public struct RuleID: RawRepresentable, Hashable, Sendable {
    /// A number from 0, or one of the values below.
    public var rawValue: UInt32

    /// Wraps a number.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// No rule.
    public static let none = RuleID(rawValue: 0xFFFF_FFFF)
    /// The default posture of an allow-listed category.
    public static let defaultPosture = RuleID(rawValue: 0xFFFF_FFFE)
    /// The patterns took more steps on this path than one operation may cost (docs/semantics.md, "Patterns").
    public static let patternLimit = RuleID(rawValue: 0xFFFF_FFFD)
}
