/// What the agent answers: one JSON object on a line of its own. `logs` is answered by `alert` and `lost` until the client ends.
public enum ControlResponse: Codable, Sendable, Equatable {
    /// Done; one line for each thing that was done.
    case done(messages: [String])
    /// Not done; one line for each reason. Nothing was changed.
    case failed(messages: [String])
    /// The client may not ask for this.
    case notPermitted(message: String)
    /// Answer to `policies`.
    case policies([PolicySummary])
    /// Answer to `status`.
    case status(AgentStatus)
    /// Answer to `rules`: empty behind the last one. The generation tells whether they belong to a `status` before.
    case rules([RuleCoverage], generation: UInt64)
    /// One alert: a KubeArmor-shaped JSON object as text.
    case alert(json: String)
    /// Answer to `filters`.
    case filters(TreeFilters)
    /// Alerts that this client was too slow for.
    case lost(count: UInt64)
    /// Answer to `policyEvent`.
    case policyEvent(PolicyEventStatus)
    /// Answer to `probe`: the policies of the host, then those of each container.
    case probe([WorkloadPolicies])
}

/// What a supervised tree is started under.
public struct TreeFilters: Codable, Sendable, Equatable {
    /// `struct sock_filter` values of the program that is installed first; empty when no rule needs a filter.
    public var guardProgram: [UInt8]
    /// The same of the program with the listener.
    public var treeProgram: [UInt8]
    /// Bit n: capability n is dropped.
    public var droppedCapabilities: UInt64
    /// Calls that change files are performed for the tree, which never makes them itself.
    public var changesArePerformed: Bool
    /// What the tree's own policies say and nothing holds.
    public var gaps: [String]

    /// Creates the answer.
    public init(
        guardProgram: [UInt8], treeProgram: [UInt8], droppedCapabilities: UInt64, changesArePerformed: Bool = false,
        gaps: [String] = []
    ) {
        self.guardProgram = guardProgram
        self.treeProgram = treeProgram
        self.droppedCapabilities = droppedCapabilities
        self.changesArePerformed = changesArePerformed
        self.gaps = gaps
    }
}

/// What became of a policy event, in KubeArmor's words.
public enum PolicyEventStatus: String, Codable, Sendable, Equatable, CaseIterable {
    case failure, applied, deleted, modified, notExist, invalid, notEnabled
}

/// A workload and its policies, as KubeArmor's ProbeService tells of them.
public struct WorkloadPolicies: Codable, Sendable, Equatable {
    /// Name of the node or of the container.
    public var name: String
    /// The node itself.
    public var isHost: Bool
    /// The names of its policies, and each as JSON: `{"metadata":{"namespaceName","policyName"},"spec":{}}`.
    public var policies: [PolicyDocument]

    /// Creates an entry.
    public init(name: String, isHost: Bool, policies: [PolicyDocument]) {
        self.name = name
        self.isHost = isHost
        self.policies = policies
    }
}

/// A policy the agent has.
public struct PolicySummary: Codable, Sendable, Equatable {
    /// Full kind name.
    public var kind: String
    /// Empty for cluster-scoped kinds.
    public var namespace: String
    /// `metadata.name`.
    public var name: String
    /// Default action: Allow, Audit, Block.
    public var action: String
    /// How many rules it has.
    public var rules: Int
    /// `applied`, or the file it comes from.
    public var origin: String
    /// Whether it is for this host; otherwise why not.
    public var selected: Bool

    /// Creates a summary.
    public init(
        kind: String, namespace: String, name: String, action: String, rules: Int, origin: String, selected: Bool
    ) {
        self.kind = kind
        self.namespace = namespace
        self.name = name
        self.action = action
        self.rules = rules
        self.origin = origin
        self.selected = selected
    }
}

/// The agent's state.
public struct AgentStatus: Codable, Sendable, Equatable {
    /// Version of the agent.
    public var version: String
    /// Host name it enforces for.
    public var host: String
    /// Number of the snapshot in force; 0 before the first.
    public var generation: UInt64
    /// Process ids by role.
    public var processes: [String: Int]
    /// Counters by name.
    public var counters: [String: UInt64]
    /// Failure counters by name, with what each does.
    public var failures: [FailureStatus]
    /// Entries of one answer: a line of the protocol has a limit, the number of rules has not.
    public static let rulePage = 2000
    /// One entry a rule.
    public var rules: [RuleCoverage]
    /// Shortfalls of the agent as a whole.
    public var gaps: [String]

    /// Creates a status.
    public init(
        version: String, host: String, generation: UInt64, processes: [String: Int], counters: [String: UInt64],
        failures: [FailureStatus], rules: [RuleCoverage], gaps: [String]
    ) {
        self.version = version
        self.host = host
        self.generation = generation
        self.processes = processes
        self.counters = counters
        self.failures = failures
        self.rules = rules
        self.gaps = gaps
    }
}

/// A row of the failure table.
public struct FailureStatus: Codable, Sendable, Equatable {
    /// Metric name.
    public var name: String
    /// `allow` or `deny`.
    public var verdict: String
    /// How often it was met.
    public var count: UInt64

    /// Creates a row.
    public init(name: String, verdict: String, count: UInt64) {
        self.name = name
        self.verdict = verdict
        self.count = count
    }
}

/// What holds a rule, and what it cannot be held against.
public struct RuleCoverage: Codable, Sendable, Equatable {
    /// Number of the workload whose own rule it is; 0 = the host's.
    public var workload: UInt64
    /// The same for people: `tree 3`, `container web`; empty for the host.
    public var workloadName: String
    /// Policy name.
    public var policy: String
    /// process, file, network, dns, capabilities, syscalls or presets.
    public var category: String
    /// The subject as written.
    public var subject: String
    /// Allow, Audit or Block.
    public var action: String
    /// `file:line:column`.
    public var position: String
    /// Mechanisms; empty when the rule is not enforced at all.
    public var enforcedBy: [String]
    /// What it is not held against.
    public var gaps: [String]

    /// Creates an entry.
    public init(
        workload: UInt64 = 0, workloadName: String = "", policy: String, category: String, subject: String,
        action: String, position: String, enforcedBy: [String], gaps: [String]
    ) {
        self.workload = workload
        self.workloadName = workloadName
        self.policy = policy
        self.category = category
        self.subject = subject
        self.action = action
        self.position = position
        self.enforcedBy = enforcedBy
        self.gaps = gaps
    }
}
