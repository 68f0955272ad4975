/// What somebody at the other end of a connection is, by its certificate or by the kernel's word.
package enum PeerRole: String, Sendable, Hashable, CaseIterable, Codable {
    /// A node's agent.
    case agent
    /// Collects from agents.
    case relay
    /// Gives policies to machines.
    case fleet
    /// A machine that a fleet service manages.
    case vm
    /// The command line tool, for looking.
    case cli
    /// Whoever changes policies.
    case controller
    /// Stands between people and a relay.
    case userGateway = "user-gw"
    /// A permitted user of the same machine, over the unix socket.
    case local
}

/// The name in a certificate: `spiffe://<trust domain>/<role>/<name>`, its only URI.
package struct PeerIdentity: Sendable, Hashable, CustomStringConvertible {
    /// Which authority's names these are.
    package let trustDomain: String
    /// What it may do.
    package let role: PeerRole
    /// Who it is.
    package let name: String

    /// Longest URI (SPIFFE ID, section 2.3).
    private static let limit = 2048

    /// Creates an identity; `nil` when trust domain or name has a character that no name of ours has.
    package init?(trustDomain: String, role: PeerRole, name: String) {
        guard Self.isName(trustDomain), Self.isName(name), role != .local else { return nil }
        self.trustDomain = trustDomain
        self.role = role
        self.name = name
    }

    /// Reads a URI; `nil` when it is none of ours.
    package init?(uri: String) {
        guard uri.utf8.count <= Self.limit, uri.hasPrefix("spiffe://") else { return nil }
        let parts = uri.dropFirst("spiffe://".count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, let role = PeerRole(rawValue: String(parts[1])) else { return nil }
        self.init(trustDomain: String(parts[0]), role: role, name: String(parts[2]))
    }

    /// The URI.
    package var description: String { "spiffe://\(trustDomain)/\(role.rawValue)/\(name)" }

    /// Letters, digits, dots, dashes and underscores: what host names and users are made of, and no path can be.
    package static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 253 && text != "." && text != ".."
            && text.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }
}
