import ClientSupport
import ArgumentParser
import ControlProtocol

/// `portcullis apply -f F…`
struct ApplyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Adds or replaces policies at the agent: all of them, or none.")

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("A policy file, a folder of them, or - for standard input; repeatable.", valueName: "path"),
        completion: .file())
    var file: [String] = []

    @Flag(help: "Only ask whether the agent would take them.")
    var dryRun = false

    @OptionGroup var agent: AgentOptions
    @OptionGroup var remote: RemoteOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if file.isEmpty { throw ValidationError("Missing expected argument '--file <path>'") }
    }

    func run() throws {
        let request = ControlRequest.apply(documents: try PolicySource.documents(at: file), dryRun: dryRun)
        if let place = try remote.place {
            return try RemoteControl.change(request, remote, place).write(output)
        }
        var report = ChangeReport(messages: [])
        // Compiling and marking may take longer than a plain question.
        try report.add(AgentConnection.ask(request, at: agent.socket, seconds: 30))
        try report.write(output)
    }
}
