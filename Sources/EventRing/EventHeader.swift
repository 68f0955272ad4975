/// The fixed part of an event.
public struct EventHeader: Sendable, Equatable {
    /// What the record is about.
    public enum Kind: UInt8, Sendable {
        /// An operation was decided.
        case verdict = 1
        /// A descriptor that was open before the rule came violates it now.
        case staleDescriptor = 2
        /// The agent says something about itself.
        case notice = 3
        /// Records were lost; `sequence` is their number.
        case loss = 4
    }

    /// The rule category of the operation.
    public enum Category: UInt8, Sendable {
        /// Program execution.
        case process = 0
        /// File open.
        case file = 1
        /// Socket creation.
        case `protocol` = 2
        /// Name query.
        case dns = 3
        /// Capability use.
        case capability = 4
        /// A watched system call.
        case syscall = 5
        /// A packet; it has no process.
        case packet = 6
    }

    /// What happened to the operation.
    public enum Effect: UInt8, Sendable {
        /// Went through.
        case allow = 0
        /// Went through and is reported.
        case audit = 1
        /// Was refused.
        case block = 2
    }

    /// The kernel mechanism that held the operation.
    public enum Mechanism: UInt8, Sendable {
        /// None: notices.
        case none = 0
        /// fanotify permission event.
        case fanotify = 1
        /// seccomp user notification.
        case seccomp = 2
        /// nftables.
        case nftables = 3
    }

    /// What the record is about.
    public var kind: Kind
    /// Rule category.
    public var category: Category
    /// What happened.
    public var effect: Effect
    /// Mechanism.
    public var mechanism: Mechanism
    /// Circumstances.
    public var flags: EventFlags = []
    /// Rule within the snapshot of `generation`.
    public var ruleID: UInt32 = 0
    /// Snapshot generation.
    public var generation: UInt64 = 0
    /// `CLOCK_REALTIME`, nanoseconds.
    public var wallClock: UInt64 = 0
    /// Number given by `EventWriter`, from 1; what a caller sets is replaced.
    public var sequence: UInt64 = 0
    /// Process, in the initial pid namespace.
    public var hostPID: Int32 = 0
    /// Its parent.
    public var hostPPID: Int32 = 0
    /// Thread.
    public var tid: Int32 = 0
    /// User of the process.
    public var uid: UInt32 = 0
    /// Owner of the object.
    public var oid: UInt32 = 0
    /// System call number, -1 if unknown.
    public var syscall: Int32 = -1
    /// `O_*` flags of the open.
    public var openFlags: UInt32 = 0
    /// The container that the process belongs to; 0 for none.
    public var container: UInt32 = 0
    /// Which notice; 0 for other kinds.
    public var noticeCode: UInt32 = 0

    /// Makes a header; the other fields are set as needed.
    public init(kind: Kind, category: Category, effect: Effect, mechanism: Mechanism) {
        self.kind = kind
        self.category = category
        self.effect = effect
        self.mechanism = mechanism
    }
}
