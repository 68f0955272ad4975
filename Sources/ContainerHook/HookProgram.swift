import ControlProtocol
import Glibc
import LinuxKernel
import PlainJSON

/// `portcullis-hook STAGE [--socket PATH] [--timeout SECONDS] [--on-timeout deny|allow]`: run by a container runtime when it has set a container up
/// (createRuntime), or has deleted it (poststop), with the container's state on standard input, or by podman when it defines one (precreate), with its
/// configuration there. Or, as `running`, looks for containers that run already by itself. Hands everything to the agent, and ends with the agent's answer: with 0 when the container may start.
public enum HookProgram {
    /// Runs the program; its exit code.
    public static func run(_ arguments: [String]) -> Int32 {
        if arguments == ["--version"] { return write("portcullis-hook \(ReleaseVersion.text)\n".utf8, to: 1) ? 0 : 1 }
        if arguments.first == "runtime" { return RuntimeProgram.run(Array(arguments.dropFirst())) }
        let options: HookOptions
        do { options = try HookOptions(arguments) } catch {
            complain("\(error)")
            return 2
        }
        if options.stage == .running {
            signal(SIGPIPE, SIG_IGN)
            var finder = ContainerFinder(options)
            return finder.run()
        }
        beginDeadline(options)
        do {
            let input = try Descriptor.duplicating(0).readAll(limit: HookMessage.limit)
            let (message, files) = try collect(options.stage, input)
            defer { for file in files { RawDescriptor.close(file) } }
            switch try ask(message, files, options) {
            case .allow: return answer(message, options)
            case .deny(let reason):
                complain(reason)
                return options.stage == .poststop ? 0 : 1
            case .configuration(let bytes): return write(bytes, to: 1) ? 0 : 1
            }
        } catch {
            complain("\(error)")
            return giveUp(options)
        }
    }

    /// The container may start: what precreate has to say then is what it was told.
    private static func answer(_ message: HookMessage, _ options: HookOptions) -> Int32 {
        options.stage != .precreate || write(message.configuration, to: 1) ? 0 : 1
    }

    /// Without an answer. A container that was deleted is deleted, whoever knows of it.
    private static func giveUp(_ options: HookOptions) -> Int32 {
        options.allowsOnTimeout || options.stage == .poststop ? 0 : 1
    }

    // MARK: - Deadline

    /// Ends the process when its time is over, whatever it waits for.
    private static func beginDeadline(_ options: HookOptions) {
        signal(SIGPIPE, SIG_IGN)
        // Handlers know nothing of this process but that they run.
        if giveUp(options) == 0 {
            signal(SIGALRM) { _ in HookProgram.end("the agent does not answer; the container starts all the same", 0) }
        } else {
            signal(SIGALRM) { _ in HookProgram.end("the agent does not answer; the container does not start", 1) }
        }
        alarm(options.seconds)
    }

    private static func end(_ text: StaticString, _ code: Int32) {
        _ = Glibc.write(2, "portcullis-hook: ", 17)
        _ = Glibc.write(2, text.utf8Start, text.utf8CodeUnitCount)
        _ = Glibc.write(2, "\n", 1)
        _exit(code)
    }

    // MARK: - Message

    /// - Parameter input: the container's state, or its configuration for `precreate`.
    static func collect(_ stage: HookMessage.Stage, _ input: [UInt8]) throws -> (HookMessage, files: [Int32]) {
        if stage == .precreate { return (HookMessage(stage: stage, state: [], configuration: input), []) }
        guard let bundle = JSONText(parsing: input)?["bundle"]?.text, bundle.hasPrefix("/") else {
            throw HookFailure("standard input is not the state of a container")
        }
        if stage == .poststop { return (HookMessage(stage: stage, state: input, configuration: []), []) }
        let configuration = try PathOpening.read(bundle + "/config.json", limit: HookMessage.limit)
        var (names, files): ([HookMessage.File], [Int32]) = ([], [])
        for (name, path) in EngineFiles.paths(bundle: bundle) {
            guard !names.contains(name), let file = try? PathOpening.open(path, flags: OpenFlags.readOnly) else {
                continue
            }
            names.append(name)
            files.append(file.release())
        }
        return (HookMessage(stage: stage, state: input, configuration: configuration, files: names), files)
    }

    // MARK: - Agent

    /// How long an agent that is not there may take to come back, in tries of a twentieth of a second.
    private static let absentTries = 20
    private static let pauseMicroseconds: UInt32 = 50_000

    /// Asks until there is an answer. The alarm ends it if there is none.
    static func ask(
        _ message: HookMessage, _ files: [Int32], _ options: HookOptions
    ) throws -> HookAnswer {
        var tries = 0
        while true {
            let socket: Descriptor
            do { socket = try UnixSocket.connect(path: options.socket) } catch {
                tries += 1
                guard tries < absentTries else { throw HookFailure("\(options.socket): \(error)") }
                usleep(pauseMicroseconds)
                continue
            }
            if let answer = try exchange(message, files, over: socket.raw) { return answer }
            // The part of the agent that listens was replaced.
            usleep(pauseMicroseconds)
        }
    }

    /// One question; `nil` when nobody answers it.
    private static func exchange(
        _ message: HookMessage, _ files: [Int32], over socket: Int32
    ) throws -> HookAnswer? {
        let bytes = message.bytes
        do {
            // Descriptors go with the first bytes.
            let sent = try UnixSocket.send(
                socket, bytes: Array(bytes.prefix(HookMessage.mark.count)), descriptors: files)
            guard write(bytes.dropFirst(sent), to: socket) else { return nil }
        } catch { return nil }
        var answer: [UInt8] = []
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 8)
        defer { buffer.deallocate() }
        while true {
            let count = RawDescriptor.read(socket, into: buffer)
            guard count > 0 else { return nil }
            answer += buffer[..<count]
            if let whole = try HookAnswer.read(answer) { return whole }
        }
    }

    // MARK: - Output

    static func write(_ bytes: some Collection<UInt8>, to descriptor: Int32) -> Bool {
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { return false }
            rest = rest.dropFirst(written)
        }
        return true
    }

    /// Runtimes show what a hook that fails says.
    static func complain(_ text: String) { _ = write("portcullis-hook: \(text)\n".utf8, to: 2) }
}
