import ClientSupport
import ArgumentParser
import ControlProtocol

/// The `portcullis` tool: parses arguments, runs a verb, turns errors into one line and an exit code.
public enum PortcullisTool {
    /// Runs the tool.
    ///
    /// - Parameter arguments: without the program's name.
    /// - Returns: the exit code, see `ToolExitCode`.
    public static func run(_ arguments: [String]) -> Int32 {
        do {
            var command = try PortcullisCommand.parseAsRoot(arguments)
            try command.run()
            return ToolExitCode.success.rawValue
        } catch let failure as ToolFailure {
            for message in failure.messages { StandardStreams.writeError(message) }
            return failure.code.rawValue
        } catch let code as ExitCode {
            return code.rawValue
        } catch {
            return end(error)
        }
    }

    /// Help and completion scripts go to standard output; wrong usage to standard error.
    private static func end(_ error: any Error) -> Int32 {
        let text = PortcullisCommand.fullMessage(for: error)
        if PortcullisCommand.exitCode(for: error) == .success {
            do { try StandardStreams.write(text) } catch { return error.code.rawValue }
            return ToolExitCode.success.rawValue
        }
        let isUsage = PortcullisCommand.exitCode(for: error) == .validationFailure
        guard isUsage else {
            StandardStreams.writeError("\(error)")
            return ToolExitCode.failure.rawValue
        }
        StandardStreams.writeError(PortcullisCommand.message(for: error))
        return ToolExitCode.usage.rawValue
    }
}

/// The root of all verbs.
struct PortcullisCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "portcullis",
        abstract: "Checks and tries out KubeArmor policies, and talks to the agent that enforces them.",
        discussion: """
            Exit codes: 0 done, 1 not done, 2 wrong usage, 3 no agent answers, 4 not permitted.
            """,
        version: ReleaseVersion.text,
        subcommands: [
            CheckCommand.self, SimulateCommand.self, RulesetCommand.self, ApplyCommand.self, DeleteCommand.self,
            GetCommand.self,
            StatusCommand.self, RunCommand.self, ContainerProfileCommand.self,
            SystemdCommand.self, LogsCommand.self, ProbeCommand.self,
            UnlockCommand.self, CertsCommand.self, AuditCommand.self, SummaryCommand.self, ProfileCommand.self,
            RecommendCommand.self,
            VersionCommand.self,
        ])
}
