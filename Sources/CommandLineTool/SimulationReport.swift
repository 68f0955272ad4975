import ClientSupport
import PolicyEngine
import PolicyModel

/// A verdict and why.
struct SimulationReport: Encodable {
    /// The deciding rule.
    struct Rule: Encodable {
        var kind: String
        var policy: String
        var category: String
        var subject: String
        var sources: [String]
        var action: String
        var severity: Int
        var tags: [String]
        var message: String
        var position: String
    }

    /// `allow`, `audit` (allowed and reported) or `block`.
    var verdict: String
    /// `rule`, `defaultPosture` or `noRule`.
    var reason: String
    /// Set when `reason` is `rule`.
    var rule: Rule?
    /// The operation's file without symlinks; not set for sockets.
    var path: String?
    /// Host that the policies were selected for.
    var host: String
    /// Policies for this host.
    var selectedPolicies: Int
    /// Policies read.
    var policies: Int

    init(
        _ verdict: Verdict, rules: [RuleDescription], host: String, selectedPolicies: Int, policies: Int, path: String?
    ) {
        self.verdict =
            switch verdict.effect {
            case .allow: "allow"
            case .audit: "audit"
            case .block: "block"
            }
        let index = Int(verdict.rule.rawValue)
        if rules.indices.contains(index) {
            let rule = rules[index]
            reason = "rule"
            self.rule = Rule(
                kind: rule.policyKind.rawValue, policy: rule.policyName, category: Self.name(rule.category),
                subject: rule.subject, sources: rule.sources, action: rule.attributes.action.name,
                severity: rule.attributes.severity, tags: rule.attributes.tags, message: rule.attributes.message,
                position: rule.position.description)
        } else {
            reason = verdict.rule == .defaultPosture ? "defaultPosture" : "noRule"
        }
        self.host = host
        self.selectedPolicies = selectedPolicies
        self.policies = policies
        self.path = path
    }

    func lines(_ style: TextStyle) -> [String] {
        var fields: [(String, String)] = []
        if let path { fields.append(("Path", path)) }
        if let rule {
            fields += [
                ("Policy", "\(rule.kind) \(rule.policy)"), ("Rule", "\(rule.category) \(rule.subject)"),
                ("Action", rule.action), ("Position", rule.position),
            ]
            if !rule.sources.isEmpty { fields.append(("Sources", rule.sources.joined(separator: ", "))) }
            if !rule.message.isEmpty { fields.append(("Message", rule.message)) }
        } else {
            fields.append(("Rule", reason == "noRule" ? "none applies" : "none applies: default posture"))
        }
        fields.append(("Policies", "\(selectedPolicies) of \(policies) are for host \(host)"))
        let painted =
            switch verdict {
            case "block": style.red(verdict)
            case "audit": style.yellow(verdict)
            default: style.green(verdict)
            }
        return [Self.line("Verdict", painted)] + fields.map { Self.line($0, SafeText.line($1)) }
    }

    private static func line(_ name: String, _ value: String) -> String {
        name + ":" + String(repeating: " ", count: 10 - name.count) + value
    }

    private static func name(_ category: PolicyEngine.Category) -> String {
        switch category {
        case .process: "process"
        case .file: "file"
        case .networkProtocol: "network"
        case .dns: "dns"
        case .capability: "capabilities"
        case .syscall: "syscalls"
        }
    }
}
