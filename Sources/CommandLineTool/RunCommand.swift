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
            does not. Ends with the program's own exit code, or 128 and the number of the signal that ended it.
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
        let environment = Self.environment
        let child: SupervisedProcess
        do {
            child = try SupervisedProcess(
                executable: executable, arguments: command, environment: environment,
                programs: SupervisedProcess.Programs(
                    guardProgram: filters.guardProgram, treeProgram: filters.treeProgram),
                dropping: CapabilitySet(rawValue: filters.droppedCapabilities), noNewPrivileges: geteuid() != 0,
                ownHostName: !documents.isEmpty)
        } catch { throw ToolFailure(Self.explanation(error)) }
        _ = try AgentConnection.ask(
            .supervise(process: child.pid, listener: child.listener, documents: documents), at: agent.socket,
            seconds: 30)
        let pid = child.pid
        let process: Descriptor
        do { process = try child.release() } catch {
            throw ToolFailure("\(command[0]): \(KernelError.message(error.errno))")
        }
        throw ExitCode(try Self.wait(pid, process.raw))
    }

    /// A listener of somebody else's excludes ours (seccomp(2), EBUSY).
    private static func explanation(_ error: KernelError) -> String {
        error.errno == EBUSY
            ? "this process is already under a seccomp listener of somebody else's: its children cannot have ours"
            : "\(error)"
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

    /// Waits for the program, hands it the signals that are meant for it, and says what it ended with.
    private static func wait(_ pid: Int32, _ process: Int32) throws -> Int32 {
        // Of the terminal's signals the program has its own copies.
        for number in [SIGINT, SIGQUIT] { signal(number, SIG_IGN) }
        let forwarded = try SignalDescriptor([SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGCONT])
        while true {
            Readiness.wait(process, forwarded.descriptor.raw, timeoutMilliseconds: -1)
            while let signal = try forwarded.next() {
                _ = ProcessDescriptor.sendSignal(Int32(signal.number), to: process)
            }
            var status: Int32 = 0
            let ended = waitpid(pid, &status, WNOHANG)
            if ended == pid { return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f }
            if ended < 0 && errno != EINTR { return ToolExitCode.failure.rawValue }
        }
    }
}
