import ArgumentParser
import ClientSupport
import Telemetry

/// `portcullis profile`
struct ProfileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "profile", abstract: "Draws what workloads do: programs, files and sockets, live.",
        discussion: """
            What nothing forbids is seen as far as the agent is told to look (portcullisd --host-visibility, --visibility). Asks the \
            gateway of this machine unless --server says otherwise.
            """)

    @OptionGroup var observation: ObservationOptions
    @OptionGroup var remote: RemoteOptions
    @OptionGroup var output: OutputOptions
    @Option(help: ArgumentHelp("Rows of each table.", valueName: "number"))
    var rows = 15

    func run() throws {
        let style = TextStyle.standardOutput
        let isLive = style.isEnabled && !output.json
        let rows = rows
        let behaviour = try observation.watch(
            remote, try remote.requiredPlace, seconds: isLive ? observation.seconds : observation.seconds ?? 10
        ) { behaviour in
            guard isLive else { return }
            // Home, the tables, and nothing of what was there before.
            try StandardStreams.write(
                "\u{1B}[H" + ProfileReport(behaviour, rows: rows).lines(style).joined(separator: "\u{1B}[K\n")
                    + "\u{1B}[J")
        }
        if output.json { return try StandardStreams.write(json: ProfileReport(behaviour, rows: .max).entries) }
        if !isLive { try StandardStreams.write(ProfileReport(behaviour, rows: rows).lines(style)) }
    }
}

/// The tables of a profile.
struct ProfileReport {
    /// A row.
    struct Entry: Encodable, Equatable {
        var workload: String
        var operation: String
        var process: String
        var object: String
        var count: Int
        var denied: Int
    }

    /// Everything, the most frequent first.
    let entries: [Entry]
    private let rows: Int
    private let missed: UInt64

    init(_ behaviour: Behaviour, rows: Int) {
        self.rows = rows
        missed = behaviour.missed
        entries = behaviour.workloads.sorted { $0.key < $1.key }.flatMap { workload, actions in
            actions.sorted {
                ($1.value.count, $0.key.object, $0.key.process) < ($0.value.count, $1.key.object, $1.key.process)
            }
            .map { action, tally in
                Entry(
                    workload: workload.text, operation: action.operation, process: action.process,
                    object: action.object,
                    count: tally.count, denied: tally.denied)
            }
        }
    }

    func lines(_ style: TextStyle) -> [String] {
        var lines: [String] = []
        for (operation, title, object) in [
            ("Process", "PROGRAMS", "EXECUTES"), ("File", "FILES", "FILE"), ("Network", "SOCKETS", "SOCKET"),
        ] {
            let all = entries.filter { $0.operation == operation }
            lines.append(style.bold(title))
            var table = TextTable(["WORKLOAD", "PROGRAM", object, "COUNT", "DENIED"])
            for entry in all.prefix(rows) {
                table.add(
                    [
                        entry.workload, entry.process, entry.object, "\(entry.count)",
                        entry.denied > 0 ? "\(entry.denied)" : "",
                    ],
                    colours: [nil, nil, nil, nil, .red])
            }
            lines += table.lines(style)
            if all.count > rows { lines.append("and \(all.count - rows) more") }
            lines.append("")
        }
        if missed > 0 { lines.append(style.yellow("\(missed) records were missed")) }
        return lines
    }
}
