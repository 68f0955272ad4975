/// One thing that enforcement did or found, before it becomes an alert.
///
/// All texts are the bytes the kernel gave: they may hold control characters, newlines or invalid UTF-8, and nothing
/// here cleans them. `AlertEncoder` and `TextFormatter` do.
public struct EnforcementEvent: Sendable, Hashable {
    /// What kind of finding this is.
    public enum Kind: UInt8, Sendable, Hashable, CaseIterable {
        /// An operation was decided.
        case verdict
        /// A process holds a descriptor that was opened before the policy covered the file; no later event can stop its use.
        case staleDescriptor
        /// An operation that no rule is about went on, and is told of.
        case observation
        /// The agent says something about itself (a gap, a refused policy); `resource` is the subject.
        case notice
    }

    /// Which rules decided.
    public enum Category: UInt8, Sendable, Hashable, CaseIterable {
        case process, file, network, capability, syscall
        /// A packet, of which no process is known.
        case packet
        /// A query for a name.
        case query
    }

    /// What happened to the operation.
    public enum Effect: UInt8, Sendable, Hashable, CaseIterable {
        /// It went on and is reported.
        case audit
        /// It was denied.
        case block
    }

    /// Which texts the producer had to cut.
    public struct Truncation: OptionSet, Sendable, Hashable {
        /// The bits.
        public let rawValue: UInt8

        /// Creates a set from its bits.
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// `resource` or `aliasPath`.
        public static let resource = Truncation(rawValue: 1)
        /// `executable` or `parentExecutable`.
        public static let executable = Truncation(rawValue: 2)
        /// `workingDirectory`.
        public static let workingDirectory = Truncation(rawValue: 4)
        /// `arguments`.
        public static let arguments = Truncation(rawValue: 8)
        /// Anything else.
        public static let other = Truncation(rawValue: 16)
    }

    /// What kind of finding this is.
    public var kind: Kind = .verdict
    /// Which rules decided.
    public var category: Category = .file
    /// What happened to the operation.
    public var effect: Effect = .audit
    /// The mechanism, as the alert's `Enforcer` names it.
    public var enforcer: String = "fanotify"
    /// The path does not come from the mount that the policy's namespace has there (a mount alias or a spoofed path).
    public var isPathUntrusted = false
    /// The rule was found by the identity of the object, not by this path.
    public var isMatchedByObject = false
    /// Which texts the producer had to cut.
    public var truncation: Truncation = []
    /// CLOCK_REALTIME in nanoseconds.
    public var wallClock: UInt64 = 0
    /// Process id (tgid) in the host's pid namespace.
    public var hostPID: Int32 = 0
    /// Parent's process id in the host's pid namespace.
    public var hostPPID: Int32 = 0
    /// Process id in the process's own pid namespace; 0 when it is the same as `hostPID` or not known.
    public var namespacePID: Int32 = 0
    /// Thread id in the host's pid namespace.
    public var tid: Int32 = 0
    /// Real uid in the host's user namespace.
    public var uid: UInt32 = 0
    /// Owner of the object.
    public var oid: UInt32 = 0
    /// Number of the system call on this machine's architecture; negative when not known.
    public var syscallNumber: Int32 = -1
    /// Flags of the system call (`O_…` for opens, `AT_…` for execveat); `nil` when not known.
    public var openFlags: UInt32?
    /// First argument of an `…at` call, or the number of the stale descriptor; `nil` when not known.
    public var descriptor: Int32?
    /// The object: the opened file, the executed file, a notice's subject. Of a socket: domain, type and protocol, each a
    /// little-endian 32-bit number. Of a packet: a `PacketFlow`. Of a query: the name.
    public var resource: [UInt8] = []
    /// Another name of the same object, the one the rule speaks of; empty when there is none.
    public var aliasPath: [UInt8] = []
    /// Executable of the acting process. For `category == .process` the image it had before.
    public var executable: [UInt8] = []
    /// Executable of its parent.
    public var parentExecutable: [UInt8] = []
    /// Working directory, without a trailing slash.
    public var workingDirectory: [UInt8] = []
    /// Name of the controlling terminal (`pts0`), empty without one.
    public var tty: [UInt8] = []
    /// `comm` of the acting thread.
    public var comm: [UInt8] = []
    /// argv, each entry followed by a NUL except perhaps the last, as `/proc/PID/cmdline` has it. File: of the acting
    /// process. Process: of the new image. Empty when not known.
    public var arguments: [UInt8] = []
    /// `category == .syscall`: `SYS_` and the call's name, with what else is known of it. `category == .query`: a `PacketQuery`,
    /// if it is known whom it asks.
    public var callText: [UInt8] = []
    /// Generation of the policy snapshot that decided; 0 when none did.
    public var snapshotGeneration: UInt64 = 0
    /// Records that were lost between the previous record and this one, before they reached telemetry.
    public var lossCount: UInt64 = 0

    /// Creates an event with every field at its "not known" value.
    public init() {}

    /// Sets `arguments` from separate entries. A NUL inside an entry (which no real argv has) ends that entry.
    public mutating func setArguments(_ entries: [[UInt8]]) {
        arguments = []
        arguments.reserveCapacity(entries.reduce(0) { $0 + $1.count + 1 })
        for entry in entries {
            arguments.append(contentsOf: entry.prefix { $0 != 0 })
            arguments.append(0)
        }
    }
}
