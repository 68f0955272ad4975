import ClientSupport
import ArgumentParser
import ControlProtocol

/// `portcullis status`
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Shows the agent's health and, for every rule, what enforces it or why nothing does.")

    @OptionGroup var agent: AgentOptions
    @OptionGroup var remote: RemoteOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        if let place = try remote.place {
            for (_, status) in try RemoteControl.status(remote, place) { try show(status) }
            return
        }
        var status = try first()
        while try !complete(&status) { status = try first() }
        try show(status)
    }

    private func show(_ status: AgentStatus) throws {
        if output.json { return try StandardStreams.write(json: status) }
        try StandardStreams.write(StatusReport(status: status, style: .standardOutput).lines)
    }

    private func first() throws -> AgentStatus {
        guard case .status(let status) = try AgentConnection.ask(.status, at: agent.socket) else {
            throw ToolFailure.unexpectedAnswer
        }
        return status
    }

    /// Adds the rules that did not fit into the first answer; false when others were put in force meanwhile.
    private func complete(_ status: inout AgentStatus) throws -> Bool {
        var page = status.rules.count
        while page >= AgentStatus.rulePage {
            guard
                case .rules(let rules, let generation) = try AgentConnection.ask(
                    .rules(from: status.rules.count), at: agent.socket)
            else { throw ToolFailure.unexpectedAnswer }
            guard generation == status.generation else { return false }
            status.rules += rules
            page = rules.count
        }
        return true
    }
}
