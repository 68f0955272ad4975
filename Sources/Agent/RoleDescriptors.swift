/// The descriptor numbers a role finds open when it starts. Fixed, so that nothing about them has to be parsed.
enum RoleDescriptor {
    /// Sealed settings (all roles).
    static let settings: Int32 = 3
    /// Message socket to the guardian (worker, front).
    static let guardian: Int32 = 4
    /// Status board (worker, front).
    static let board: Int32 = 5
    /// Message socket between front and worker.
    static let peer: Int32 = 6
    /// Ring of block alerts.
    static let blockRing: Int32 = 7
    /// Ring of everything else.
    static let eventRing: Int32 = 8
    /// Eventfd that wakes the front when a ring has records.
    static let ringWake: Int32 = 9
    /// Worker: the permission group. Front: the listening control socket.
    static let primary: Int32 = 10
    /// Worker: snapshot in force, when there is one. Front: the alerts file, when there is one.
    static let secondary: Int32 = 11
    /// Front: the listening socket of container runtimes.
    static let runtimes: Int32 = 12
    /// Worker: first further permission group of an interrupted reload.
    static let firstRetiring: Int32 = 12
}

/// The roles of `portcullisd`, each its own process.
public enum AgentRole: String, Sendable {
    case guardian, worker, front
}
