/// What the deciding rule contributes to an alert. Made once per rule when policies are loaded, not per event.
public struct RuleMetadata: Sendable, Hashable {
    /// The action written in the policy.
    public enum Action: UInt8, Sendable, Hashable, CaseIterable {
        case allow, audit, block
    }

    /// Where the decision came from.
    public enum Origin: Sendable, Hashable {
        /// A rule of the policy.
        case rule
        /// A preset, named as in the policy language (`filelessExec`).
        case preset(String)
        /// No rule matched in an allow-listed category.
        case defaultPosture
    }

    /// `metadata.name`, or `DefaultPosture`.
    public let policyName: String
    /// 1…10; 0 means that none was written.
    public let severity: Int
    /// As written.
    public let tags: [String]
    /// Free text.
    public let message: String
    /// The action written in the policy, or of the default posture.
    public let action: Action
    /// The policy is for the node itself.
    public let isHostPolicy: Bool
    /// Where the decision came from.
    public let origin: Origin
    /// Whom the rule's quota is for (`host`, `pod`, `policy`); empty without one.
    public var quotaLevel = ""
    /// The domain that a rule on queries names; empty for any other.
    public var domain = ""
    /// How much the rule's quota lets pass, as written.
    public var quotaLimit = ""

    /// `severity` as the alert shows it; empty when none was written.
    let severityText: String
    /// The tags joined by commas.
    let joinedTags: String
    /// `joinedTags` split again: a tag that holds a comma becomes two, as upstream does it.
    let splitTags: [String]
    /// The `Enforcer` text of a preset; `nil` otherwise.
    let presetEnforcer: String?

    /// Creates the metadata of a rule or a preset.
    public init(
        policyName: String, severity: Int = 0, tags: [String] = [], message: String = "", action: Action,
        isHostPolicy: Bool, presetName: String? = nil
    ) {
        let origin = presetName.map(Origin.preset) ?? .rule
        self.init(
            policyName: policyName, severity: severity, tags: tags, message: message, action: action,
            isHostPolicy: isHostPolicy, origin: origin)
    }

    /// The metadata of a decision by the default posture; it has no severity, tags or message.
    ///
    /// - Parameter action: `.block` or `.audit`, the posture of the workload.
    public static func defaultPosture(_ action: Action, isHostPolicy: Bool) -> RuleMetadata {
        RuleMetadata(
            policyName: "DefaultPosture", severity: 0, tags: [], message: "", action: action,
            isHostPolicy: isHostPolicy, origin: .defaultPosture)
    }

    private init(
        policyName: String, severity: Int, tags: [String], message: String, action: Action, isHostPolicy: Bool,
        origin: Origin
    ) {
        self.policyName = policyName
        self.severity = severity
        self.tags = tags
        self.message = message
        self.action = action
        self.isHostPolicy = isHostPolicy
        self.origin = origin
        severityText = severity == 0 ? "" : String(severity)
        joinedTags = tags.joined(separator: ",")
        splitTags =
            joinedTags.isEmpty
            ? [] : joinedTags.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        if case .preset(let name) = origin {
            presetEnforcer = "PRESET-" + Self.upstreamPresetName(name)
        } else {
            presetEnforcer = nil
        }
    }

    /// Upstream names its presets differently in policies and in alerts.
    private static func upstreamPresetName(_ name: String) -> String {
        switch name {
        case "filelessExec": "FilelessExecutionPreset"
        case "anonymousMapExec": "AnonMapExecutionPreset"
        case "protectEnv": "ProtectEnvPreset"
        case "protectProc": "ProtectProcPreset"
        case "exec": "ExecPreset"
        default: name
        }
    }
}
