import RPCTransport

/// Whose tokens count, and what for.
package struct TokenSettings: Sendable, Equatable {
    /// The `iss` that a token must have, letter by letter.
    package var issuer = ""
    /// What must be in its `aud`.
    package var audience = ""
    /// The key set: a file, or an `https://` URL.
    package var keys = ""
    /// A file with the certificates that the key set's server is trusted by; empty for the system's.
    package var keysAuthority = ""
    /// The claim that says what somebody is.
    package var roleClaim = "groups"
    /// What it has to say for each role. Whoever has none of these may do nothing.
    package var roles: [PeerRole: Set<String>] = [:]

    /// Nobody's.
    package init() {}

    /// Roles that users may have: to look, and to change.
    package static let possibleRoles: [PeerRole] = [.controller, .cli]
}

/// Why a token, or a key set, is not taken. Says nothing of what is in it but what is known to be harmless.
package struct TokenProblem: Error, CustomStringConvertible, Sendable, Equatable {
    package let description: String

    package init(_ description: String) { self.description = description }
}
