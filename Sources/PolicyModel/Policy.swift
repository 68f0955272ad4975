/// The four policy kinds of group `security.kubearmor.com/v1`.
public enum PolicyKind: String, Sendable, Hashable, CaseIterable {
    /// KSP: containers of one namespace.
    case container = "KubeArmorPolicy"
    /// HSP: the node itself.
    case host = "KubeArmorHostPolicy"
    /// CSP: containers of many namespaces.
    case cluster = "KubeArmorClusterPolicy"
    /// NSP: packet filtering of the node or of pods.
    case network = "KubeArmorNetworkPolicy"
}

/// One valid policy document: every rule has its inherited attributes, comma lists are expanded.
public struct Policy: Sendable, Hashable {
    /// Which of the four kinds.
    public var kind: PolicyKind
    /// `metadata.name`.
    public var name: String
    /// `metadata.namespace`; `nil` for cluster-scoped kinds and when not written.
    public var namespace: String?
    /// Whom the policy is for.
    public var selector: Selector
    /// The selector is about the node, not about containers: of every HSP, and of an NSP with `nodeSelector`.
    public var selectsNodes = false
    /// The policy's own attributes: the default for its rules, and what a preset's alert shows.
    public var attributes: RuleAttributes
    /// Rules on executing programs.
    public var process: [ProcessRule] = []
    /// Rules on opening and changing files.
    public var file: [FileRule] = []
    /// `network.matchProtocols`.
    public var protocols: [ProtocolRule] = []
    /// `network.matchDNSQueries`.
    public var dns: [DNSRule] = []
    /// `capabilities.matchCapabilities`.
    public var capabilities: [CapabilityRule] = []
    /// `syscalls.matchSyscalls` and `syscalls.matchPaths`.
    public var syscalls: [SyscallRule] = []
    /// `presets` (KSP and CSP).
    public var presets: [PresetRule] = []
    /// `device.matchDevice` (HSP).
    public var devices: [DeviceRule] = []
    /// Native AppArmor text; never enforced here, reported as a gap.
    public var apparmor: String = ""
    /// NSP rules for packets that arrive.
    public var ingress: [NetworkPolicyRule] = []
    /// NSP rules for packets that leave.
    public var egress: [NetworkPolicyRule] = []
    /// NSP quota level: `Pod`, `Policy` or empty.
    public var level: String = ""
    /// Where the document begins.
    public var position: SourcePosition

    /// Creates a policy without rules.
    public init(
        kind: PolicyKind, name: String, namespace: String? = nil, selector: Selector = Selector(),
        attributes: RuleAttributes = RuleAttributes(), position: SourcePosition
    ) {
        self.kind = kind
        self.name = name
        self.namespace = namespace
        self.selector = selector
        selectsNodes = kind == .host
        self.attributes = attributes
        self.position = position
    }
}
