import PolicyEngine

/// A mark that the rules need. Equal marks are one mark.
public struct PlannedMark: Sendable, Hashable {
    /// What the mark hangs on.
    public enum Scope: UInt8, Sendable, Hashable {
        /// One object, whatever its name.
        case inode
        /// A directory and its children.
        case directory
        /// A whole superblock, in every mount namespace.
        case filesystem
        /// One mount: of a superblock that others use too.
        case mount
    }
    /// What the mark hangs on.
    public var scope: Scope
    /// A path to the object, directory, or any object of the superblock or mount. Absolute, without a trailing slash except `/`.
    public var path: [UInt8]
    /// Opens are asked about.
    public var opens: Bool
    /// Executions are asked about.
    public var executions: Bool
    /// Opens of directories are asked about too.
    public var directories: Bool
    /// Each read through a descriptor that is opened from now on is asked about too. Never on a superblock: a program that is
    /// asked about like this loses the kernel's guard against being written while it runs.
    public var reads: Bool

    /// Creates a mark.
    public init(
        scope: Scope, path: [UInt8], opens: Bool, executions: Bool, directories: Bool, reads: Bool = false
    ) {
        self.reads = reads
        self.scope = scope
        self.path = path
        self.opens = opens
        self.executions = executions
        self.directories = directories
    }
}

/// Something that the plan cannot give a rule.
public struct PlanNote: Sendable, Hashable {
    /// The rule, or `.none` for the whole plan.
    public var rule: RuleID
    /// What is missing.
    public var gap: Gap

    /// What a plan can be short of. The texts are what `status` prints.
    public enum Gap: UInt8, Sendable, Hashable, CaseIterable {
        /// The named file or directory does not exist; the nearest existing directory is watched.
        case absent
        /// The subject lies on procfs, sysfs or another filesystem that cannot be marked reliably.
        case unmarkable
        /// More objects than the index holds: hard links and renames of the rest are known by path only.
        case indexFull
        /// `sh file` and `ld.so file` are not seen for this rule, only its execution.
        case interpretersUnseen
        /// Reads were to be reviewed, and the rule covers too much for marks of its own.
        case readsUnreviewed
        /// The kernel refused a mark.
        case markRefused
        /// There is no nf_tables, or this process may not use it here.
        case packetsUnfiltered
        /// The kernel has no quotas for nf_tables.
        case quotaUnavailable
        /// Nobody tells what the network rules refuse.
        case packetsUnlogged
        /// The kernel does not read packets as far as a name can reach.
        case namesUnread
        /// The workload shares the host's network, and nothing tells its packets from others'.
        case hostNetwork
        /// A container's rule covers too much of a file system that it shares for marks on objects.
        case mountsOnly
        /// The workload shares the host's network, and nothing tells the packets that are for it.
        case arrivalsIndistinct
        /// Its packets are told by its users, which others can be too.
        case sharesUsers
        /// Its packets are told by a cgroup that its processes can leave.
        case leavesCgroup
        /// No gap: what its packets are told by.
        case toldByNetwork, toldByCgroup, toldByClass, toldByUsers

        /// What tells a workload's packets from others', as people read it behind the mechanism; `nil` for a gap.
        public var scope: String? {
            switch self {
            case .toldByNetwork: "own network namespace"
            case .toldByCgroup: "cgroup v2"
            case .toldByClass: "net_cls"
            case .toldByUsers: "uid"
            default: nil
            }
        }
        /// The kernel marks mounts only, not whole filesystems.
        case filesystemsUnmarked
        /// The kernel tells of a process, not of a thread, or does not tell executions.
        case callersGuessed
        /// There is no seccomp user notification.
        case treesUnsupported

        /// The packet filter does nothing for the rule.
        public var endsFiltering: Bool {
            switch self {
            case .packetsUnfiltered, .quotaUnavailable, .hostNetwork: true
            default: false
            }
        }

        /// One line for people.
        public var text: String {
            switch self {
            case .absent: "does not exist now; its nearest existing directory is watched"
            case .unmarkable: "lies on a filesystem that cannot be marked (procfs, sysfs, …)"
            case .indexFull: "too many objects to index: hard links and renamed files are known by path only"
            case .readsUnreviewed: "reads through passed descriptors are not reviewed: it covers too many objects"
            case .interpretersUnseen: "only its execution is seen, not a file handed to an interpreter or loader"
            case .packetsUnfiltered:
                "no packet filter: the kernel has no nf_tables, the agent may not use it, or it is switched off"
            case .quotaUnavailable: "the kernel's nf_tables has no quotas (nft_quota)"
            case .namesUnread:
                "names of more than 242 bytes behind many TCP options pass: nf_tables of this kernel reads no byte after the 316th"
            case .packetsUnlogged: "no alerts of network rules: their log group has another reader, or there is none"
            case .mountsOnly:
                "on volumes, and on a root that is not a file system of its own (vfs): not through mounts that the container makes itself"
            case .hostNetwork:
                "the workload shares the host's network: no cgroup, net_cls class or user of its own tells its packets from others'"
            case .arrivalsIndistinct:
                "the workload shares the host's network, and only a cgroup of version 2 would tell what arrives for it"
            case .leavesCgroup:
                "a process of the tree that may write to the cgroup filesystem can leave the cgroup that its packets are told by"
            case .sharesUsers:
                "it holds for everybody else with the same users, too: nothing else tells the workload's packets"
            case .toldByNetwork, .toldByCgroup, .toldByClass, .toldByUsers: scope ?? ""
            case .filesystemsUnmarked:
                "this kernel cannot mark whole filesystems: what is opened in another mount namespace, or through a mount made a moment ago, is not asked about"
            case .callersGuessed:
                "this kernel does not tell which thread asks, or whether it executes: of programs with several threads, opens count as writes and opens of programs as executions"
            case .treesUnsupported:
                "this kernel has no seccomp user notification (Linux 5.9): there are no supervised trees, and what needs one is not enforced"
            case .markRefused: "the kernel refused a mark; see the metric mark-failures"
            }
        }
    }

    /// Creates a note.
    public init(rule: RuleID, gap: Gap) {
        self.rule = rule
        self.gap = gap
    }
}

/// Which marks a snapshot needs on this host.
public struct MarkPlan: Sendable, Equatable {
    /// The marks.
    public var marks: Set<PlannedMark> = []
    /// Directories in which a created, renamed or removed entry changes the plan.
    public var watched: Set<[UInt8]> = []
    /// Existing subjects whose objects are to be indexed: files, or directory trees.
    public var indexed: [IndexedSubject] = []
    /// Shortfalls.
    public var notes: Set<PlanNote> = []

    /// A subject whose objects get an entry in the object index.
    public struct IndexedSubject: Sendable, Hashable {
        /// Path of a file, or of a directory whose files are indexed.
        public var path: [UInt8]
        /// A directory: only its children, or everything below it; `nil` for a single object.
        public var recursive: Bool?
        /// The rule.
        public var rule: RuleID
        /// What the rule is about.
        public var category: Category
    }

    /// An empty plan.
    public init() {}
}

/// What the planner has to know of the filesystem; a fake one in tests.
public protocol FilesystemView {
    /// The object at a path, symlinks followed; `nil` when it does not exist.
    mutating func object(at path: [UInt8]) -> ViewedObject?
    /// Every directory of a tree including its root, on the same superblock, or `nil` when there are more than `limit`.
    mutating func directories(under path: [UInt8], limit: Int) -> [[UInt8]]?
    /// Whether a path is that of a file with more names than one, or of a directory that has such files in it.
    mutating func hasFilesOfManyNames(_ path: [UInt8], recursive: Bool) -> Bool
    /// The superblocks of the host's mounts: one mount point each.
    mutating func superblocks() -> [Superblock]
}

/// What stands at a path.
public struct ViewedObject: Sendable, Equatable {
    /// Superblock.
    public var device: UInt64
    /// Path without symlinks.
    public var canonicalPath: [UInt8]
    /// It is a directory.
    public var isDirectory: Bool

    /// Creates an object.
    public init(device: UInt64, canonicalPath: [UInt8], isDirectory: Bool) {
        self.device = device
        self.canonicalPath = canonicalPath
        self.isDirectory = isDirectory
    }
}

/// A mounted filesystem.
public struct Superblock: Sendable, Equatable {
    /// Its device number, as statx(2) gives it for its objects.
    public var device: UInt64
    /// Somewhere it is mounted and reachable.
    public var mountPoint: [UInt8]
    /// Whether permission marks on it are reliable and safe: not procfs, sysfs and the like.
    public var isMarkable: Bool
    /// Others than those whom the plan is for use it too, so that it is never marked as a whole.
    public var isShared: Bool
    /// Where else it is mounted and reachable.
    public var otherMountPoints: [[UInt8]] = []
    /// To the kernel a file is another object by each of its names (overlayfs, for files of lower layers): a mark by one is none by another.
    public var splitsNames = false

    /// Creates a superblock.
    public init(device: UInt64, mountPoint: [UInt8], isMarkable: Bool, isShared: Bool = false) {
        self.device = device
        self.mountPoint = mountPoint
        self.isMarkable = isMarkable
        self.isShared = isShared
    }
}
