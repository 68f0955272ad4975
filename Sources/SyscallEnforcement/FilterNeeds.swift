import PolicyEngine

/// What the rules want to hear of a supervised tree's system calls.
public struct FilterNeeds: Sendable, Equatable {
    /// Sockets that rules are about.
    public enum Sockets: Sendable, Equatable {
        case none
        /// Internet sockets of these types, or these transports.
        case some(Snapshot.SocketInterest)
        /// All internet and packet sockets.
        case all
    }

    /// File rules: calls that write, or change names or metadata.
    public var files = false
    /// Process rules that a program without a name could get around.
    public var listsPrograms = false
    /// Sockets that rules are about.
    public var sockets = Sockets.none

    /// Nothing.
    public init() {}

    /// What a snapshot's rules want.
    public init(_ snapshot: Snapshot) {
        files = snapshot.hasRules(in: .file)
        listsPrograms = snapshot.isAllowList(.process)
        if let interest = snapshot.socketInterest {
            sockets = interest == Snapshot.SocketInterest() ? .none : .some(interest)
        } else {
            sockets = .all
        }
    }

    /// No rule needs a filter.
    public var isEmpty: Bool { self == FilterNeeds() }
}
