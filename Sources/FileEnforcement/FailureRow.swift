/// Every way in which deciding an event can go wrong, each with a stable metric name and a verdict.
///
/// There is no other place where an error turns into an answer. The default fails closed; the operator may choose otherwise
/// per row (`--on-failure NAME=allow`).
public enum FailureRow: UInt8, Sendable, CaseIterable {
    /// The kernel reported a full event queue. It cannot happen with FAN_UNLIMITED_QUEUE; if it does, operations have passed.
    case queueOverflow
    /// read(2) gave EMFILE: the kernel itself has answered EPERM.
    case descriptorExhausted
    /// The event's object has no readable path.
    case pathUnavailable
    /// The path is longer than PATH_MAX.
    case pathTooLong
    /// statx(2) on the event's object failed.
    case identityUnavailable
    /// A fact that a rule needs (source, owner, terminal, arguments) could not be read.
    case factUnavailable
    /// The path was made in another mount namespace and has no counterpart in the host's.
    case mountUnknown
    /// An event of a kind nobody asked for.
    case unknownEvent
    /// An event arrived before the first snapshot.
    case snapshotMissing
    /// A held event was not answered in time; the guardian answers.
    case deadlineExpired
    /// The worker died with unanswered events; the guardian answers.
    case workerLost
    /// A notified system call that no rule of the filter asks about.
    case unknownCall
    /// The program that a thread executes cannot be compared with the one that was decided on: somebody else traces the thread, or
    /// another thread changed the arguments meanwhile.
    case executionUnverified
    /// A resolver is asked in a way that cannot be looked into: over a connection, or in what is no DNS message.
    case queryUnreadable
    /// Somebody else changed or removed the table in nf_tables; it is made again. Until then packets met what was left.
    case rulesetChanged
    /// The table in nf_tables could not be made again.
    case rulesetLost
    /// The kernel had no room for packets that rules logged: they were decided, but nobody is told of them.
    case packetLogOverflow
    /// So many calls of a tree wait for somebody else that one more was refused (EAGAIN).
    case callsExhausted
    /// A supervised tree asked somebody outside who starts programs for others. Nothing went wrong: it is refused unless the row says otherwise.
    case managerAsked

    /// The metric's name, as in `status` and on the command line.
    public var name: String {
        switch self {
        case .queueOverflow: "queue-overflow"
        case .descriptorExhausted: "descriptor-exhausted"
        case .pathUnavailable: "path-unavailable"
        case .pathTooLong: "path-too-long"
        case .identityUnavailable: "identity-unavailable"
        case .factUnavailable: "fact-unavailable"
        case .mountUnknown: "mount-unknown"
        case .unknownEvent: "unknown-event"
        case .snapshotMissing: "snapshot-missing"
        case .deadlineExpired: "deadline-expired"
        case .workerLost: "worker-lost"
        case .unknownCall: "unknown-call"
        case .executionUnverified: "execution-unverified"
        case .queryUnreadable: "query-unreadable"
        case .rulesetChanged: "ruleset-changed"
        case .rulesetLost: "ruleset-lost"
        case .packetLogOverflow: "packet-log-overflow"
        case .callsExhausted: "calls-exhausted"
        case .managerAsked: "manager-asked"
        }
    }
}

/// The verdict of each failure row: one bit a row, set = allow.
public struct FailureTable: Sendable, Equatable {
    /// Bit *n* set: row with raw value *n* allows.
    public var allowing: UInt32

    /// Everything fails closed except an event before the first snapshot: there is no rule yet that could be broken.
    public static let failClosed = FailureTable(allowing: 1 << UInt32(FailureRow.snapshotMissing.rawValue))

    /// Creates a table from its bits, as passed between the processes.
    public init(allowing: UInt32) { self.allowing = allowing }

    /// Whether an event that met this failure is let through.
    public func allows(_ row: FailureRow) -> Bool { allowing >> UInt32(row.rawValue) & 1 == 1 }

    /// Sets the verdict of one row.
    public mutating func set(_ row: FailureRow, allow: Bool) {
        let bit: UInt32 = 1 << UInt32(row.rawValue)
        allowing = allow ? allowing | bit : allowing & ~bit
    }
}
