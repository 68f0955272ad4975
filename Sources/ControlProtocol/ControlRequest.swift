/// What the command line tool asks the agent: one JSON object on a line of its own, over the agent's unix socket.
public enum ControlRequest: Codable, Sendable, Equatable {
    /// Add or replace policies. Each document is the text of a file with its name; all are taken or none.
    case apply(documents: [PolicyDocument], dryRun: Bool)
    /// Remove an applied policy. `kind` is the full kind name; `namespace` is empty for cluster-scoped kinds.
    case delete(kind: String, namespace: String, name: String)
    /// List policies.
    case policies
    /// What is enforced by what, counters, health; of the rules the first `AgentStatus.rulePage`.
    case status
    /// Further rules of `status`, from this index on, `AgentStatus.rulePage` at most.
    case rules(from: Int)
    /// Stream alerts from now on; `filters` are KubeArmor field names and the values they must contain.
    case logs(filters: [String: String])
    /// The filters of a tree that is to be supervised, under policies of its own besides the host's, if there are documents.
    case filters(documents: [PolicyDocument])
    /// Take over the listener of `process`, which has it as descriptor `listener` and waits; with documents it has
    /// a UTS namespace of its own, by which the agent knows its processes.
    case supervise(process: Int32, listener: Int32, documents: [PolicyDocument])
    /// What KubeArmor's PolicyService was sent: the full kind name and the JSON of an event. The gateway asks it.
    case policyEvent(kind: String, event: String)
    /// Which workloads have which policies. The gateway asks it.
    case probe
    /// End enforcement. Root only.
    case unlock

    /// Whether the gateway may ask: nothing that ends enforcement or takes a process over comes from the network.
    public var isForGateway: Bool {
        switch self {
        case .apply, .delete, .policies, .status, .rules, .policyEvent, .probe: true
        case .logs, .filters, .supervise, .unlock: false
        }
    }
}

/// A policy file's name and text.
public struct PolicyDocument: Codable, Sendable, Equatable {
    /// Shown in messages.
    public var name: String
    /// YAML or JSON.
    public var text: String

    /// Creates a document.
    public init(name: String, text: String) {
        self.name = name
        self.text = text
    }
}
