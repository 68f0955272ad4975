import ClientSupport
import ArgumentParser
import ControlProtocol
import WireProtocol

/// `portcullis logs`
struct LogsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Follows the agent's alerts from now on.",
        discussion: "With --json every line is one object with the fields of KubeArmor's alerts.")

    @Option(
        help: ArgumentHelp(
            "Only alerts whose field contains this; repeatable, all must hold.", valueName: "field=text"))
    var filter: [FieldFilter] = []

    @Option(help: ArgumentHelp("End after this many alerts.", valueName: "count"))
    var limit: Int?

    @Option(help: ArgumentHelp("Which records, with --server: alerts, logs, messages; repeatable.", valueName: "kind"))
    var kind: [RecordKindArgument] = []

    @Option(
        help: ArgumentHelp("Go on behind this record, with --server; 0 for the oldest there is.", valueName: "number"))
    var resumeFrom: UInt64?

    @Option(help: ArgumentHelp("What the number counts in.", valueName: "spool"))
    var spool = ""

    @OptionGroup var agent: AgentOptions
    @OptionGroup var remote: RemoteOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit must be at least 1") }
        if Set(filter.map(\.field)).count < filter.count { throw ValidationError("a field can be filtered once only") }
    }

    func run() throws {
        if let place = try remote.place {
            return try RemoteLogs(stream: stream, limit: limit, isJSON: output.json).run(remote, place)
        }
        let filters = Dictionary(filter.map { ($0.field, $0.text) }) { first, _ in first }
        do { try follow(try AgentConnection(to: agent.socket, .logs(filters: filters), seconds: nil)) } catch let
            failure
            as ControlConnection.Failure
        {
            throw failure.failure(agent.socket)
        }
    }

    private var stream: RecordStream {
        let kinds = (kind.isEmpty ? [.alerts] : kind).map(\.onTheWire)
        return RecordStream(
            request: .with {
                $0.kinds = kinds
                $0.filter = Dictionary(filter.map { ($0.field, $0.text) }) { first, _ in first }
                $0.agents = remote.agentName
                if let resumeFrom {
                    $0.resume = kinds.map { kind in
                        .with { ($0.kind, $0.after, $0.spool) = (kind, resumeFrom, spool) }
                    }
                }
            })
    }

    private func follow(_ connection: AgentConnection) throws {
        var count = 0
        while true {
            switch try AgentConnection.accepted(connection.next()) {
            case .alert(let json):
                try show(json)
                count += 1
                if count == limit { return }
            case .lost(let count):
                StandardStreams.writeError("\(count) alerts were lost: this reader is too slow")
            default: throw ToolFailure.unexpectedAnswer
            }
        }
    }

    private func show(_ json: String) throws(ToolFailure) {
        if output.json { return try StandardStreams.write(SafeText.json(json)) }
        try StandardStreams.write(AlertReport(json: json, style: .standardOutput).lines)
    }
}

/// A kind of records.
enum RecordKindArgument: String, ExpressibleByArgument, CaseIterable {
    case alerts, logs, messages

    var onTheWire: Portcullis_V1_RecordKind {
        switch self {
        case .alerts: .alert
        case .logs: .log
        case .messages: .message
        }
    }
}

/// `field=text`
struct FieldFilter: ExpressibleByArgument {
    let field: String
    let text: String

    init?(argument: String) {
        guard let equals = argument.firstIndex(of: "="), equals > argument.startIndex else { return nil }
        field = String(argument[..<equals])
        text = String(argument[argument.index(after: equals)...])
    }
}
