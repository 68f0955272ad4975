import Telemetry

/// What workloads were seen to do: executions, files, sockets, each with how often.
struct Behaviour: Sendable {
    /// Whose behaviour it is.
    struct Workload: Hashable, Comparable, Sendable {
        /// The agent, of a relay.
        var agent: String
        /// Namespace and name of a container; both empty for the host.
        var namespace: String
        var container: String

        var text: String {
            let name = container.isEmpty ? "host" : "\(namespace)/\(container)"
            return agent.isEmpty ? name : "\(agent) \(name)"
        }

        static func < (a: Workload, b: Workload) -> Bool {
            (a.agent, a.namespace, a.container) < (b.agent, b.namespace, b.container)
        }
    }

    /// One kind of thing that was done.
    struct Action: Hashable, Sendable {
        var operation: String
        /// The program that did it.
        var process: String
        /// What was executed, opened, or made.
        var object: String
    }

    /// How often, and how it ended.
    struct Tally: Sendable {
        var count = 0
        var denied = 0
        /// It was only read, every time.
        var isReadOnly = true
        var last: UInt64 = 0
    }

    private(set) var workloads: [Workload: [Action: Tally]] = [:]
    /// Labels of containers, `k=v` with commas.
    private(set) var labels: [Workload: String] = [:]
    private(set) var missed: UInt64 = 0

    /// Counts records that did not come.
    mutating func miss(_ count: UInt64) { missed += count }

    /// Counts a record.
    mutating func add(_ record: Alert, agent: String) {
        let workload = Workload(
            agent: agent, namespace: record.workload?.namespaceName ?? "",
            container: record.workload.map { $0.containerName.isEmpty ? $0.containerID : $0.containerName } ?? "")
        guard let action = Self.action(record) else { return }
        if let text = record.workload?.labels { labels[workload] = text }
        var tally = workloads[workload, default: [:]][action] ?? Tally()
        tally.count += 1
        if record.result != "Passed" { tally.denied += 1 }
        if record.operation == "File", Self.writes(record.data) { tally.isReadOnly = false }
        tally.last = max(tally.last, record.wallClock)
        workloads[workload, default: [:]][action] = tally
    }

    private static func action(_ record: Alert) -> Action? {
        func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        switch record.operation {
        case "Process":
            // The program, without what it was given: arguments can be varied without end.
            return Action(operation: "Process", process: text(record.source), object: text(record.processName))
        case "File":
            return Action(operation: "File", process: text(record.processName), object: text(record.resource))
        case "Network":
            return Action(operation: "Network", process: text(record.processName), object: text(record.resource))
        default: return nil
        }
    }

    /// Whether a call may have changed something: all but an open that says that it only reads.
    private static func writes(_ data: String) -> Bool {
        let words = data.split(separator: " ")
        let call = words.first { $0.hasPrefix("syscall=") }?.dropFirst("syscall=".count) ?? ""
        guard ["SYS_OPEN", "SYS_OPENAT", "SYS_OPENAT2", "SYS_OPEN_BY_HANDLE_AT"].contains(call) else {
            return !["", "SYS_EXECVE", "SYS_EXECVEAT"].contains(call)
        }
        guard let flags = words.first(where: { $0.hasPrefix("flags=") })?.dropFirst("flags=".count) else { return true }
        let names = Set(flags.split(separator: "|"))
        return !names.contains("O_RDONLY") || !names.isDisjoint(with: ["O_CREAT", "O_TRUNC"])
    }
}
