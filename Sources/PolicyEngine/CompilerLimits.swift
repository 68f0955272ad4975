/// Bounds of what is compiled. Beyond any of them nothing is compiled, and the error names the rule.
public struct CompilerLimits: Sendable {
    /// Most rules of one snapshot.
    public var rules = 200_000
    /// Most bytes of one snapshot.
    public var bytes = 256 << 20
    /// Most bytes of a path, directory, name or source (PATH_MAX - 1), and of a pattern's text.
    public var pathLength = 4_095
    /// Most states of one pattern: positions behind its literal directory, over all its alternatives, those that begin
    /// alike counted once. At most 4 096.
    public var patternStates = 1_024
    /// Most ways in which the `{a,b}` of one pattern can be written out.
    public var patternAlternatives = 256
    /// Most states of all patterns together.
    public var totalPatternStates = 2_000_000
    /// Most `allowedArgs` of a rule, and most sources of a rule.
    public var listLength = 1_024
    /// Most Audit rules on one subject and source that differ in their qualifiers.
    public var auditsPerSubject = 256

    /// The defaults.
    public init() {}
}
