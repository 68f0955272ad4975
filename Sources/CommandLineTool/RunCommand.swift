import ArgumentParser
import ControlProtocol
import Glibc
import LinuxKernel

/// `portcullis run -- CMD ARG…`
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Runs a program, and all that it starts, as a supervised tree.",
        discussion: """
            The agent decides the program's system calls as well as its opens: rules on sockets, on changes of names and
            metadata, and on capabilities hold for it too. It starts when the agent has taken it over, and not at all if the agent
            does not. This process becomes the program: its signals and its end are the program's.
            """)

    @Argument(
        parsing: .postTerminator, help: ArgumentHelp("The program and its arguments, after --.", valueName: "command"))
    var command: [String]

    @Option(
        help: ArgumentHelp(
            "Policies that hold for this tree only, besides the host's: a file, or a folder; repeatable. Selectors of container and cluster policies are not looked at.",
            valueName: "path"),
        completion: .file())
    var policies: [String] = []

    @OptionGroup var agent: AgentOptions

    func validate() throws {
        if command.isEmpty { throw ValidationError("Missing the program, after --") }
    }

    func run() throws {
        let executable = try Self.executable(command[0])
        let documents = try PolicySource.documents(at: policies)
        guard
            case .filters(let filters) = try AgentConnection.ask(
                .filters(documents: documents), at: agent.socket, seconds: 30)
        else { throw AgentConnection.Failure.garbled.failure(agent.socket) }
        for gap in filters.gaps { StandardStreams.writeError(gap) }
        guard !filters.treeProgram.isEmpty else {
            // No rule is about system calls: there is nothing to be supervised for.
            throw Self.execute(executable, command)
        }
        let program = getpid()
        switch try Self.split() {
        case .speaker(let gate):
            // Whatever happens, this process is not the one that was called.
            Glibc.exit(speak(for: program, documents, gate))
        case .program(let gate):
            let error = SupervisedProcess.become(
                executable: executable, arguments: command, environment: Self.environment,
                programs: SupervisedProcess.Programs(
                    guardProgram: filters.guardProgram, treeProgram: filters.treeProgram),
                dropping: CapabilitySet(rawValue: filters.droppedCapabilities), noNewPrivileges: geteuid() != 0,
                ownHostName: !documents.isEmpty && geteuid() == 0, gate: gate)
            throw ToolFailure(
                error == EBUSY
                    ? "this process is already under a seccomp listener of somebody else's: it cannot have ours"
                    : "\(command[0]): \(KernelError.message(error))")
        }
    }

    private static func split() throws(ToolFailure) -> SupervisedProcess.Role {
        do { return try SupervisedProcess.split() } catch { throw ToolFailure("\(error)") }
    }

    /// Has the agent take the program's listener over; the exit code of this process, which nobody waits for.
    private func speak(for program: Int32, _ documents: [PolicyDocument], _ gate: borrowing SupervisedProcess.Gate)
        -> Int32
    {
        // The program says itself what it failed with.
        guard let listener = try? gate.awaitListener(of: program) else { return 1 }
        do {
            _ = try AgentConnection.ask(
                .supervise(process: program, listener: listener, documents: documents), at: agent.socket, seconds: 30)
        } catch {
            for message in error.messages { StandardStreams.writeError(message) }
            return 1
        }
        gate.open()
        return 0
    }

    /// The file that a shell would run.
    private static func executable(_ name: String) throws(ToolFailure) -> String {
        if name.contains("/") { return name }
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
        for directory in path.split(separator: ":", omittingEmptySubsequences: false) {
            let candidate = (directory.isEmpty ? "." : String(directory)) + "/" + name
            var status = stat()
            if stat(candidate, &status) == 0, status.st_mode & S_IFMT == S_IFREG, access(candidate, X_OK) == 0 {
                return candidate
            }
        }
        throw ToolFailure("\(name): command not found")
    }

    private static var environment: [String] {
        var result: [String] = []
        var entry = environ
        while let text = entry.pointee {
            result.append(String(cString: text))
            entry += 1
        }
        return result
    }

    /// Becomes the program.
    private static func execute(_ executable: String, _ arguments: [String]) -> ToolFailure {
        var pointers = arguments.map { strdup($0) } + [nil]
        execv(executable, &pointers)
        return ToolFailure("\(arguments[0]): \(systemMessage(errno))")
    }
}
