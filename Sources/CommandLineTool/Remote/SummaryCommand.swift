import ArgumentParser
import ClientSupport
import Telemetry
import WireProtocol

/// `portcullis summary`
struct SummaryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "summary", abstract: "Counts alerts by policy, workload and action.",
        discussion: "Counts what is there (--all, for --seconds, otherwise 3), or what comes in that time.")

    @OptionGroup var remote: RemoteOptions
    @OptionGroup var output: OutputOptions
    @Option(help: ArgumentHelp("Count for so many seconds.", valueName: "number"))
    var seconds = 3
    @Flag(help: "Begin with the oldest alerts there are, not with now.")
    var all = false

    /// What is counted together.
    struct Group: Hashable, Encodable {
        var agent: String
        var policy: String
        var workload: String
        var operation: String
        var action: String
        var process: String
    }

    /// A row.
    struct Entry: Encodable {
        var group: Group
        var count: Int

        func encode(to encoder: any Encoder) throws {
            try group.encode(to: encoder)
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(count, forKey: .count)
        }

        private enum Key: CodingKey { case count }
    }

    func validate() throws {
        guard (1...86_400).contains(seconds) else { throw ValidationError("--seconds must be between 1 and 86400") }
    }

    func run() throws {
        let counts = Shared<[Group: Int]>([:])
        let stream = RecordStream(
            request: .with {
                $0.kinds = [.alert]
                $0.agents = remote.agentName
                if all { $0.resume = [.with { $0.kind = .alert }] }
            })
        let limit = seconds
        try remote.withSession(try remote.requiredPlace) { client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await stream.follow(client) { item, _ in
                        if case .alert(let alert, let agent) = item {
                            counts.withLock { $0[Self.group(alert, agent), default: 0] += 1 }
                        }
                        return true
                    }
                }
                group.addTask { try await Task.sleep(for: .seconds(limit)) }
                try await group.next()
                group.cancelAll()
            }
        }
        let entries = counts.withLock { $0 }.map { Entry(group: $0.key, count: $0.value) }.sorted {
            ($1.count, $0.group.policy, $0.group.process) < ($0.count, $1.group.policy, $1.group.process)
        }
        if output.json { return try StandardStreams.write(json: entries) }
        var table = TextTable(["COUNT", "POLICY", "WORKLOAD", "OPERATION", "ACTION", "PROGRAM"])
        for entry in entries {
            let group = entry.group
            table.add(
                [
                    "\(entry.count)", group.policy,
                    group.agent.isEmpty ? group.workload : "\(group.agent) \(group.workload)",
                    group.operation, group.action, group.process,
                ], colours: [nil, nil, nil, nil, group.action == "Block" ? .red : nil])
        }
        try StandardStreams.write(table.lines(.standardOutput))
    }

    private static func group(_ alert: Alert, _ agent: String) -> Group {
        let workload = alert.workload.map { "\($0.namespaceName)/\($0.containerName)" } ?? "host"
        return Group(
            agent: agent, policy: alert.policyName, workload: workload, operation: alert.operation,
            action: alert.action,
            process: String(decoding: alert.processName, as: UTF8.self))
    }
}
