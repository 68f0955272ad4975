import ClientSupport
import ControlProtocol
import Glibc
import LinuxKernel

/// Starts a program as a supervised tree: what `portcullis run` becomes, and what units of systemd name. It stands before every start
/// of a supervised service, so it is small: no Foundation, no parser of policies.
public enum TreeLauncher {
    /// Becomes the program that the arguments name. Returns the exit code of a launch that failed.
    public static func run(_ words: [String]) -> Int32 {
        let arguments: LauncherArguments
        switch LauncherArguments.parse(words) {
        case .launch(let parsed): arguments = parsed
        case .show(let text):
            do { try StandardStreams.write(text) } catch { return error.code.rawValue }
            return ToolExitCode.success.rawValue
        case .wrong(let problem):
            StandardStreams.writeError(problem)
            return ToolExitCode.usage.rawValue
        }
        do { return try launch(arguments) } catch {
            for message in error.messages { StandardStreams.writeError(message) }
            return error.code.rawValue
        }
    }

    private static func launch(_ arguments: LauncherArguments) throws(ToolFailure) -> Int32 {
        let executable = try executable(arguments.command[0])
        let documents = try PolicySource.documents(at: arguments.policies)
        let filters: TreeFilters
        do throws(ToolFailure) {
            filters = try ask(LaunchMessages.filters(documents), at: arguments.socket, LaunchMessages.filters)
        } catch {
            if error.code == .failure, !SystemCallListener.isSupported { throw unsupported }
            throw error
        }
        for gap in filters.gaps { StandardStreams.writeError(gap) }
        guard !filters.treeProgram.isEmpty else {
            // No rule is about system calls: there is nothing to be supervised for.
            throw execute(executable, arguments.command)
        }
        if arguments.landlock, !filters.changesArePerformed {
            throw ToolFailure(
                "--landlock: no rule is about files, so the tree changes them itself and cannot be forbidden to")
        }
        let program = getpid()
        let role: SupervisedProcess.Role
        do { role = try SupervisedProcess.split() } catch { throw ToolFailure("\(error)") }
        switch consume role {
        case .speaker(let gate):
            // Whatever happens, this process is not the one that was called.
            Glibc.exit(speak(for: program, documents, arguments.socket, gate))
        case .program(let gate):
            let error = SupervisedProcess.become(
                executable: executable, arguments: arguments.command, environment: CompanionProgram.environment,
                programs: SupervisedProcess.Programs(
                    guardProgram: filters.guardProgram, treeProgram: filters.treeProgram),
                dropping: CapabilitySet(rawValue: filters.droppedCapabilities), noNewPrivileges: geteuid() != 0,
                forbidsChanges: arguments.landlock,
                ownHostName: !documents.isEmpty && geteuid() == 0, gate: gate)
            switch error {
            case EBUSY:
                throw ToolFailure(
                    "this process is already under a seccomp listener of somebody else's: it cannot have ours")
            case EINVAL where !SystemCallListener.isSupported: throw unsupported
            case ENOSYS where arguments.landlock, EOPNOTSUPP where arguments.landlock:
                throw ToolFailure("--landlock: this kernel has no Landlock (Linux 5.13), or it is not switched on")
            default: throw ToolFailure("\(arguments.command[0]): \(KernelError.message(error))")
            }
        }
    }

    private static var unsupported: ToolFailure {
        ToolFailure("this kernel has no seccomp user notification (Linux 5.9), and so no supervised trees")
    }

    /// Has the agent take the program's listener over; the exit code of this process, which nobody waits for.
    private static func speak(
        for program: Int32, _ documents: [PolicyDocument], _ socket: String, _ gate: borrowing SupervisedProcess.Gate
    ) -> Int32 {
        // The program says itself what it failed with.
        guard let listener = try? gate.awaitListener(of: program) else { return 1 }
        do {
            try ask(
                LaunchMessages.supervise(process: program, listener: listener, documents), at: socket,
                LaunchMessages.acceptance)
        } catch {
            for message in error.messages { StandardStreams.writeError(message) }
            return 1
        }
        gate.open()
        return 0
    }

    /// Asks the agent and reads its answer.
    ///
    /// - Parameter read: `nil` for what is no answer to the question.
    @discardableResult
    private static func ask<Answer>(
        _ line: [UInt8], at socket: String, _ read: ([UInt8]) throws(ToolFailure) -> Answer?
    ) throws(ToolFailure) -> Answer {
        let answer: [UInt8]
        do { answer = try ControlConnection(to: socket, line, seconds: 30).next() } catch {
            throw error.failure(socket)
        }
        guard let result = try read(answer) else { throw ControlConnection.Failure.garbled.failure(socket) }
        return result
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

    /// Becomes the program.
    private static func execute(_ executable: String, _ arguments: [String]) -> ToolFailure {
        var pointers = arguments.map { strdup($0) } + [nil]
        execv(executable, &pointers)
        return ToolFailure("\(arguments[0]): \(systemMessage(errno))")
    }
}
