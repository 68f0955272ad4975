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

        /// Some have connections, so that they can be listened on.
        var haveConnections: Bool {
            switch self {
            case .none: false
            case .all: true
            case .some(let interest):
                interest.types.contains { $0 == 1 || $0 == 5 }
                    || interest.protocols.contains { Self.connected.contains($0) }
            }
        }

        /// Some send messages to whom they like.
        var haveMessages: Bool {
            switch self {
            case .none: false
            case .all: true
            case .some(let interest): interest.types.contains { $0 != 1 } || interest.protocols.contains { $0 != 6 }
            }
        }

        /// TCP, DCCP, SCTP.
        private static let connected: Set<Int32> = [6, 33, 132]

        /// Those of either.
        func joined(_ other: Sockets) -> Sockets {
            switch (self, other) {
            case (.none, let some), (let some, .none): some
            case (.all, _), (_, .all): .all
            case (.some(let mine), .some(let theirs)): .some(mine.union(theirs))
            }
        }
    }

    /// File rules: calls that write, or change names or metadata.
    public var files = false
    /// Nobody but the listener sees opens and executions (there is no fanotify, or it does not reach the tree), and rules are about them:
    /// every one is notified.
    public var decidesOpens = false
    /// Rules on memory that is no file's and can be executed.
    public var anonymousMaps = false
    /// Process rules that a program without a name could get around.
    public var listsPrograms = false
    /// Sockets that rules are about.
    public var sockets = Sockets.none
    /// Rules on DNS queries: what is sent, and to whom sockets are connected.
    public var queries = false
    /// Capabilities that rules are about, of those that a call's registers tell of.
    public var capabilities: Set<UInt8> = []
    /// Names of the calls that are to be reported.
    public var calls: Set<String> = []
    /// The tree has policies of its own, and is told from others by a namespace that it must not leave.
    public var isWorkload = false
    /// Nobody outside is to be asked to start programs (`ManagerSockets`).
    public var guardsManagers = false

    /// Nothing.
    public init() {}

    /// What a snapshot's rules want.
    ///
    /// - Parameter seesEvents: fanotify reports the tree's opens and executions.
    public init(_ snapshot: Snapshot, seesEvents: Bool = true) {
        decidesOpens = !seesEvents && (snapshot.hasRules(in: .file) || snapshot.hasRules(in: .process))
        files = snapshot.hasRules(in: .file)
        listsPrograms = snapshot.isAllowList(.process)
        anonymousMaps = snapshot.has(.anonymousMapExec)
        if let interest = snapshot.socketInterest {
            sockets = interest == Snapshot.SocketInterest() ? .none : .some(interest)
        } else {
            sockets = .all
        }
        queries = snapshot.hasRules(in: .dns)
        capabilities = CapabilityCalls.numbers.filter {
            let verdict = snapshot.capabilityVerdict($0, source: nil)
            return !verdict.missing.isEmpty || verdict.effect != .allow
        }
        if snapshot.hasRules(in: .syscall) {
            calls = CallNames.all.filter { name in
                Array(name.utf8).withUnsafeBytes { snapshot.names(systemCall: $0) }
            }
        }
    }

    /// Whether calls tell of the use of a capability.
    public static func tells(of capability: UInt8) -> Bool { CapabilityCalls.numbers.contains(capability) }

    /// Whether a call of this name can be reported.
    public static func canReport(_ call: String) -> Bool { CallNames.all.contains(call) }

    /// What other rules want as well.
    public mutating func add(_ other: FilterNeeds) {
        files = files || other.files
        decidesOpens = decidesOpens || other.decidesOpens
        listsPrograms = listsPrograms || other.listsPrograms
        anonymousMaps = anonymousMaps || other.anonymousMaps
        sockets = sockets.joined(other.sockets)
        queries = queries || other.queries
        capabilities.formUnion(other.capabilities)
        calls.formUnion(other.calls)
        isWorkload = isWorkload || other.isWorkload
        guardsManagers = guardsManagers || other.guardsManagers
    }

    /// No rule needs a filter.
    public var isEmpty: Bool { self == FilterNeeds() }
}
