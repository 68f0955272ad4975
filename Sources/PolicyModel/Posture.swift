/// What happens to an operation that no rule of an allow-listed category matches.
public enum Posture: UInt8, Sendable, Hashable, CaseIterable {
    case allow, audit, block

    /// The word of the configuration: `allow`, `audit`, `block`.
    public var name: String {
        switch self {
        case .allow: "allow"
        case .audit: "audit"
        case .block: "block"
        }
    }
}

/// The three default postures of a workload; `audit` unless configured.
public struct Postures: Sendable, Hashable {
    /// For process and file operations.
    public var file: Posture
    /// For socket types, protocols and DNS.
    public var network: Posture
    /// For capabilities.
    public var capabilities: Posture

    /// Creates postures.
    public init(file: Posture = .audit, network: Posture = .audit, capabilities: Posture = .audit) {
        self.file = file
        self.network = network
        self.capabilities = capabilities
    }
}
