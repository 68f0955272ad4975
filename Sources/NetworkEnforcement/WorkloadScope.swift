import FileEnforcement

/// How the packets of a workload are told from those of others in the same network.
public enum WorkloadScope: Sendable, Hashable {
    /// By the cgroup v2 directory that its sockets were made in: its inode number, and how many it is below the root.
    case cgroup(id: UInt64, level: UInt32)
    /// By the class that net_cls gives its sockets.
    case netClass(UInt32)
    /// By the users that it runs as, and others may too.
    case users(ClosedRange<UInt32>)

    var match: Ruleset.Match {
        switch self {
        case .cgroup(let id, let level): .cgroup(id: id, level: level)
        case .netClass(let id): .netClass(id)
        case .users(let users): .users(first: users.lowerBound, last: users.upperBound)
        }
    }

    /// What people are told of it.
    var note: PlanNote.Gap {
        switch self {
        case .cgroup: .toldByCgroup
        case .netClass: .toldByClass
        case .users: .toldByUsers
        }
    }

    /// Whether a packet that arrives can be told, too. The socket that it is for is looked up for a cgroup only: class and user are those of
    /// a socket that the packet has already, as none has that begins a flow.
    var tellsArriving: Bool {
        if case .cgroup = self { true } else { false }
    }
}
