/// What the audit log is told of: who asked for what, and what became of it.
public struct AuditEntry: Sendable, Hashable {
    /// What happened.
    public enum Kind: String, Sendable, Hashable {
        /// The log begins, or goes on after a start.
        case start
        /// Somebody asks, and may.
        case request
        /// What became of a request that was written down before.
        case outcome
        /// Somebody asks, and may not; or is not let in at all.
        case refusal
        /// We ask somebody else.
        case question
    }

    /// What happened.
    public var kind: Kind
    /// Who asks: a certificate's URI, `uid:N`, a user.
    public var peer: String
    /// Where the peer is.
    public var address: String
    /// What is asked for: `package.Service/method`, or a method and a path.
    public var method: String
    /// The number that both sides know the request by.
    public var request: String
    /// What the request is about, in words; for changes, with the digest of what was sent.
    public var object: String
    /// What became of it.
    public var outcome: String

    /// Describes what happened.
    public init(
        _ kind: Kind, peer: String = "", address: String = "", method: String = "", request: String = "",
        object: String = "", outcome: String = ""
    ) {
        (self.kind, self.peer, self.address, self.method) = (kind, peer, address, method)
        (self.request, self.object, self.outcome) = (request, object, outcome)
    }
}
