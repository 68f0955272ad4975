import ClientSupport
import ArgumentParser
import ControlProtocol
import Glibc
import NetworkEnforcement

/// `portcullis unlock`
struct UnlockCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unlock", abstract: "Ends enforcement, also when the agent does not answer any more. Root only.",
        discussion: """
            Asks the agent to end. When there is no answer within 3 seconds, or the agent has not ended 5 seconds after it, kills
            its processes, as named by the pid files beside its socket. Network rules of this network namespace are removed.
            """)

    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        var report = ChangeReport(messages: [])
        // The agent removes the pid files when it ends.
        let processes = AgentProcesses(runDirectory: Self.directory(of: agent.socket))
        do {
            let response = try AgentConnection(to: agent.socket, .unlock, seconds: 3).next()
            try report.add(AgentConnection.accepted(response))
            // What answered may have lost the one that it passes this on to.
            if !processes.haveEnded(within: 5) { report.messages += try processes.kill() }
        } catch let failure as ControlConnection.Failure {
            guard failure != .notPermitted else { throw failure.failure(agent.socket) }
            report.messages = try kill(processes)
        }
        // A dead worker leaves its rules in force.
        if geteuid() == 0, try NetworkEnforcer.removeTable() { report.messages.append("removed the network rules") }
        try report.write(output)
    }

    private func kill(_ processes: AgentProcesses) throws(ToolFailure) -> [String] {
        guard processes.isNamed else { throw .noAgent(agent.socket) }
        guard geteuid() == 0 else {
            throw ToolFailure("the agent does not answer; only root may kill it", code: .notPermitted)
        }
        let killed = try processes.kill()
        guard !killed.isEmpty else { throw .noAgent(agent.socket) }
        return killed
    }

    static func directory(of socket: String) -> String {
        guard let slash = socket.lastIndex(of: "/") else { return "." }
        return slash == socket.startIndex ? "/" : String(socket[..<slash])
    }
}
