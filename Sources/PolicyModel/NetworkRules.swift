/// The words of `matchProtocols[].protocol`, lower-cased.
public enum ProtocolName: String, Sendable, Hashable, CaseIterable {
    case tcp, udp, icmp, icmpv6, sctp
    case stream, dgram, raw, rdm, seqpacket, dccp, packet
    case all
}

/// `network.matchProtocols[]`, one protocol each.
public struct ProtocolRule: Sendable, Hashable {
    /// The protocol or socket type.
    public var name: ProtocolName
    /// `false`: not permitted with a controlling terminal; `true` and `nil` change nothing.
    public var terminal: Bool?
    /// Executables of the calling process for which the rule holds; empty: for all.
    public var sources: [String] = []
    /// Severity, tags, message, action.
    public var attributes: RuleAttributes
    /// Where the rule is written.
    public var position: SourcePosition
    /// Creates a rule for every source.
    public init(name: ProtocolName, attributes: RuleAttributes, position: SourcePosition) {
        self.name = name
        self.attributes = attributes
        self.position = position
    }
}

/// `network.matchDNSQueries[]`, one domain each.
public struct DNSRule: Sendable, Hashable {
    /// Domain without leading and trailing dots; covers its subdomains.
    public var domain: String
    /// Executables of the calling process for which the rule holds; empty: for all.
    public var sources: [String] = []
    /// Severity, tags, message, action.
    public var attributes: RuleAttributes
    /// Where the rule is written.
    public var position: SourcePosition
    /// Creates a rule for every source.
    public init(domain: String, attributes: RuleAttributes, position: SourcePosition) {
        self.domain = domain
        self.attributes = attributes
        self.position = position
    }
}

/// One entry of `ingress` or `egress` of a KubeArmorNetworkPolicy.
public struct NetworkPolicyRule: Sendable, Hashable {
    /// `from` / `to`: `ipBlock.cidr` texts, validated as IPv4 or IPv6 prefixes.
    public var cidrs: [String] = []
    /// Interface names.
    public var interfaces: [String] = []
    /// Ports; empty: all.
    public var ports: [NetworkPolicyPort] = []
    /// Quota text such as `2MB`; empty when not written.
    public var limit: String = ""
    /// Window of the quota such as `1h`; empty when not written.
    public var duration: String = ""
    /// Severity, tags, message, action.
    public var attributes: RuleAttributes
    /// Where the rule is written.
    public var position: SourcePosition
    /// Creates a rule that names nothing yet.
    public init(attributes: RuleAttributes, position: SourcePosition) {
        self.attributes = attributes
        self.position = position
    }
}

/// One entry of a network policy rule's `ports`.
public struct NetworkPolicyPort: Sendable, Hashable {
    /// Number, or IANA service name, as written.
    public var port: String
    /// Last port of the range, 1…65535.
    public var endPort: Int?
    /// Upper-case protocol; empty when not written.
    public var protocolName: String
    /// Creates a port or range.
    public init(port: String, endPort: Int? = nil, protocolName: String = "") {
        self.port = port
        self.endPort = endPort
        self.protocolName = protocolName
    }
}
