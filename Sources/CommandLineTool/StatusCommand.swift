import ArgumentParser
import ControlProtocol

/// `portcullis status`
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Shows the agent's health and, for every rule, what enforces it or why nothing does.")

    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        guard case .status(let status) = try AgentConnection.ask(.status, at: agent.socket) else {
            throw ToolFailure.unexpectedAnswer
        }
        if output.json { return try StandardStreams.write(json: status) }
        try StandardStreams.write(StatusReport(status: status, style: .standardOutput).lines)
    }
}
