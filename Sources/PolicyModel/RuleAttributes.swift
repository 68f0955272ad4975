/// What a rule does with an operation that it matches.
public enum RuleAction: UInt8, Sendable, Hashable, CaseIterable {
    /// The operation is permitted; the first such rule of a category turns the category into an allow-list.
    case allow
    /// The operation is permitted and reported.
    case audit
    /// The operation is denied and reported.
    case block

    /// The word of the policy language: `Allow`, `Audit` or `Block`.
    public var name: String {
        switch self {
        case .allow: "Allow"
        case .audit: "Audit"
        case .block: "Block"
        }
    }
}

/// What every rule carries besides its subject, after inheritance from its section and its policy.
public struct RuleAttributes: Sendable, Hashable {
    /// 1…10; 0 means that no level of the policy set one.
    public var severity: Int
    /// In the order written.
    public var tags: [String]
    /// Free text for the alert; empty when none was written.
    public var message: String
    /// What happens to a matching operation.
    public var action: RuleAction

    /// Creates resolved attributes.
    public init(severity: Int = 0, tags: [String] = [], message: String = "", action: RuleAction = .block) {
        self.severity = severity
        self.tags = tags
        self.message = message
        self.action = action
    }
}
