/// What a rule of a network policy adds to its description.
public struct PacketRule: Sendable, Hashable {
    /// Which packets a rule is about.
    public enum Direction: UInt8, Sendable, Hashable, CaseIterable {
        case ingress, egress

        /// `INGRESS` or `EGRESS`, as alerts have it.
        public var name: String { self == .ingress ? "INGRESS" : "EGRESS" }
    }

    /// Packets that arrive, or that leave.
    public var direction: Direction
    /// Whom a quota is for: `host`, `pod` or `policy`; empty without one.
    public var quotaLevel: String
    /// The quota as it is written; empty without one.
    public var quotaLimit: String
    /// Why it is not enforced; empty when it is.
    public var problem: String

    /// Describes a rule.
    public init(direction: Direction, quotaLevel: String = "", quotaLimit: String = "", problem: String = "") {
        self.direction = direction
        self.quotaLevel = quotaLevel
        self.quotaLimit = quotaLimit
        self.problem = problem
    }
}
