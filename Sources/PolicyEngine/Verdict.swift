/// An answer of the engine: decided, or the facts that it depends on.
public struct Verdict: Equatable, Sendable {
    /// What happens; meaningless while facts are missing.
    public var effect: Effect
    /// The rule that says so; for `.allow` the rule that permits, or `.none` when no rule did.
    public var rule: RuleID
    /// Facts to be found out before asking again; empty when decided.
    public var missing: FactSet

    /// Creates a verdict.
    public init(effect: Effect, rule: RuleID, missing: FactSet = []) {
        self.effect = effect
        self.rule = rule
        self.missing = missing
    }

    /// Nothing is missing.
    public var isDecided: Bool { missing.isEmpty }

    static var allowed: Verdict { Verdict(effect: .allow, rule: RuleID(rawValue: 0xFFFF_FFFF)) }

    static func needs(_ facts: FactSet) -> Verdict {
        Verdict(effect: .block, rule: RuleID(rawValue: 0xFFFF_FFFF), missing: facts)
    }
}
