import EventSpool

/// One record in KubeArmor's alert shape. Fields have the meaning of the `feeder.Alert` message; an empty text or a
/// zero stands for "absent".
///
/// Texts from outside (paths, names, command lines) are bytes and not cleaned; texts from policies and configuration
/// are `String`. The encoders neutralise both alike.
public struct Alert: Sendable, Hashable {
    /// An alert, or a log: something that was seen and that no rule is about.
    public var kind = SpoolKind.alert
    /// CLOCK_REALTIME in nanoseconds: `Timestamp` (seconds) and `UpdatedTime` (microseconds) come from it.
    public var wallClock: UInt64 = 0
    /// Configuration `cluster`.
    public var clusterName = ""
    /// Name of the node.
    public var hostName = ""
    /// Machine id of the node.
    public var nodeID = ""
    /// The container, `nil` on the host.
    public var workload: AlertWorkload?
    /// Parent in the host's pid namespace.
    public var hostPPID: Int32 = 0
    /// Process in the host's pid namespace.
    public var hostPID: Int32 = 0
    /// Parent, as upstream's LSM alerts have it: in the host's pid namespace too.
    public var ppid: Int32 = 0
    /// Process in its own pid namespace.
    public var pid: Int32 = 0
    /// Real uid.
    public var uid: UInt32 = 0
    /// Owner of the object; only the daemon encoding has it.
    public var oid: UInt32 = 0
    /// passwd name, host records only.
    public var userName = ""
    /// Executable of the parent.
    public var parentProcessName: [UInt8] = []
    /// Executable of the process.
    public var processName: [UInt8] = []
    /// Policy or `DefaultPosture`.
    public var policyName = ""
    /// `"1"`…`"10"`.
    public var severity = ""
    /// Joined by commas.
    public var tags = ""
    /// `tags` split at commas.
    public var atags: [String] = []
    /// The rule's message.
    public var message = ""
    /// `MatchedPolicy`, `MatchedHostPolicy` or `SystemEvent`.
    public var type = ""
    /// Process: the parent's executable. File: the process's command line.
    public var source: [UInt8] = []
    /// `Process`, `File`, `AlertThreshold` or `Notice`.
    public var operation = ""
    /// Process: the command line. File: the path.
    public var resource: [UInt8] = []
    /// `key=value` tokens.
    public var data = ""
    /// `data` as a map, sorted by key.
    public var eventData: [EventDatum] = []
    /// The mechanism.
    public var enforcer = ""
    /// `Block`, `Audit`, `Audit (Block)` or `Audit (Allow)`.
    public var action = ""
    /// `Permission denied` or `Passed`.
    public var result = ""
    /// Working directory with a trailing slash.
    public var cwd: [UInt8] = []
    /// Controlling terminal.
    public var tty: [UInt8] = []
    /// Throttling record only.
    public var maxAlertsPerSec: Int32 = 0
    /// Throttling record only, seconds.
    public var droppingAlertsInterval: Int32 = 0
    /// Decimal; `"0"` outside `kubectl exec`.
    public var execID = ""
    /// `comm`.
    public var executableName: [UInt8] = []
    /// Version of the agent.
    public var version = ""

    // What follows is ours and comes last in every encoding.

    /// The other name of the object, when the rule matched by object.
    public var resourceAlias: [UInt8] = []
    /// The path is not the one the policy's namespace has there.
    public var isPathUntrusted = false
    /// The rule matched the object, not the path.
    public var isMatchedByObject = false
    /// A text was cut.
    public var isTruncated = false
    /// Alerts of this workload that throttling withheld since the last one that was emitted.
    public var suppressed: UInt64 = 0
    /// Records lost before telemetry since the previous record.
    public var lost: UInt64 = 0
    /// Generation of the deciding policy snapshot.
    public var policyGeneration: UInt64 = 0

    /// Creates an empty record.
    public init() {}

    /// Whether an operation was denied: such records may use the reserved part of a sink's queue.
    public var isBlock: Bool { action == "Block" }
}
