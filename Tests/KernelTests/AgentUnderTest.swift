import Foundation
import Testing

/// A running `portcullisd` with its own run and state directories, as a user would start it.
final class AgentUnderTest {
    /// One alert, as the agent wrote it.
    struct Alert {
        let fields: [String: Any]
        subscript(key: String) -> String? { fields[key] as? String }
        func number(_ key: String) -> Int? { fields[key] as? Int }
    }

    private let process: Child
    private let errors: String
    let place: any Place
    /// Run, state and policy directories, as the test sees them.
    let directory: String
    let alertsPath: String
    let socket: String
    /// The socket for container runtimes.
    var runtimeSocket: String { place.agentDirectory + "/run/runtime.sock" }
    private(set) var startSeconds = 0.0

    static let binaries: String = {
        // The test bundle lies beside the products.
        let bundle = CommandLine.arguments.first { $0.contains(".xctest") || $0.contains("/debug/") } ?? ""
        for base in [bundle, Bundle.main.bundlePath] {
            var url = URL(fileURLWithPath: base)
            while url.path != "/" {
                if FileManager.default.isExecutableFile(atPath: url.appendingPathComponent("portcullisd").path) {
                    return url.path
                }
                url.deleteLastPathComponent()
            }
        }
        return ".build/debug"
    }()

    /// Starts the agent on policies in which `@` stands for the place's root, and waits until it enforces.
    init(_ place: any Place, policies: [String: String], options: [String] = [], isThrottled: Bool = false) throws {
        self.place = place
        directory = place.outside
        try FileManager.default.createDirectory(atPath: directory + "/policies", withIntermediateDirectories: true)
        alertsPath = place.logDirectory + "/alerts.jsonl"
        let own = place.agentDirectory
        socket = own + "/run/agent.sock"
        errors = place.logDirectory + "/stderr"
        for (name, text) in policies { try Self.write(text, name, place) }
        for path in [errors, alertsPath] { _ = FileManager.default.createFile(atPath: path, contents: nil) }
        // Of a place of its own the agent does not reach the alerts file by name.
        let alerts = place.enter.isEmpty ? alertsPath : "-"
        let command = place.enter + [place.binaries + "/portcullisd"]
        var arguments = ["--policies", own + "/policies", "--alerts", alerts, "--run-directory", own + "/run"]
        arguments += ["--state-directory", own + "/state"]
        if !isThrottled { arguments.append("--no-throttle") }
        if !options.contains(where: { $0.hasPrefix("--grpc") }) { arguments.append("--no-grpc") }
        // Containers of other tests are none of its.
        if !options.contains("--container-states") { arguments.append("--no-container-search") }
        // Never a rule for the packets of the machine itself.
        if !place.hasOwnNetwork { arguments.append("--no-packet-filter") }
        let streams = [
            open("/dev/null", O_RDONLY | O_CLOEXEC),
            open(place.enter.isEmpty ? errors : alertsPath, O_WRONLY | O_CLOEXEC | O_APPEND),
            open(errors, O_WRONLY | O_CLOEXEC | O_APPEND),
        ]
        defer { streams.forEach { close($0) } }
        let start = Date()
        process = try Child(command + arguments + options, streams)
        while !log.contains("Started to protect") {
            if !process.isRunning { throw ScratchError(text: "the agent has ended: \(log)") }
            if Date().timeIntervalSince(start) > Effort.patience(120) {
                throw ScratchError(text: "the agent does not start: \(log)")
            }
            Self.pause()
        }
        startSeconds = Date().timeIntervalSince(start)
    }

    deinit { stop() }

    static func write(_ text: String, _ name: String, _ place: any Place) throws {
        try text.replacingOccurrences(of: "@", with: place.root)
            .write(toFile: place.outside + "/policies/" + name, atomically: true, encoding: .utf8)
    }

    /// What the agent wrote to standard error.
    var log: String { (try? String(contentsOfFile: errors, encoding: .utf8)) ?? "" }

    var pid: Int32 { process.pid }

    /// Process id of a role, from its pid file.
    func pid(of role: String) -> Int32? {
        (try? String(contentsOfFile: "\(directory)/run/\(role).pid", encoding: .utf8))
            .flatMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }

    /// The alerts so far, waiting until there are at least `count` of them that match and then a little longer, so that a
    /// doubled one is seen too.
    func alerts(atLeast count: Int = 0, where matches: (Alert) -> Bool = { _ in true }) -> [Alert] {
        let end = Date().addingTimeInterval(Effort.patience(60))
        while read().filter(matches).count < count && Date() < end { Self.pause() }
        Thread.sleep(forTimeInterval: 0.06)
        return read().filter(matches)
    }

    private func read() -> [Alert] {
        // What was rotated away came first.
        let files = (1...5).reversed().map { "\(alertsPath).\($0)" } + [alertsPath]
        let text = files.compactMap { try? String(contentsOfFile: $0, encoding: .utf8) }.joined()
        return text.split(separator: "\n").compactMap {
            (try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]).map { Alert(fields: $0) }
        }
    }

    /// Runs the victim and returns what it printed.
    func victim(_ arguments: String...) -> Shell.Result {
        run([place.binaries + "/portcullis-victim"] + arguments)
    }

    /// Runs a program where the agent runs.
    func run(_ arguments: [String], input: String? = nil) -> Shell.Result {
        Shell.run(place.enter + arguments, input: input)
    }

    /// Runs the command line tool against this agent.
    func tool(_ arguments: String..., input: String? = nil) -> Shell.Result { tool(arguments, input: input) }

    func tool(_ arguments: [String], input: String? = nil) -> Shell.Result {
        var words = arguments
        // What comes after -- is not the tool's.
        words.insert(contentsOf: ["--socket", socket], at: words.firstIndex(of: "--") ?? words.endIndex)
        return run([place.binaries + "/portcullis"] + words, input: input)
    }

    /// Opens a file `count` times in a tree, while the worker is killed again and again: what the victim counted, and how often the
    /// worker was killed.
    func hammer(_ options: [String], _ path: String, _ count: Int) throws -> (text: String, kills: Int) {
        let tree = Process()
        let output = Pipe()
        let command =
            place.enter + [place.binaries + "/portcullis", "run", "--socket", socket] + options + [
                "--", place.binaries + "/portcullis-victim", "hammer", path, "\(count)",
            ]
        tree.executableURL = URL(fileURLWithPath: command[0])
        tree.arguments = Array(command.dropFirst())
        tree.standardOutput = output
        let problems = place.logDirectory + "/hammer"
        _ = FileManager.default.createFile(atPath: problems, contents: nil)
        tree.standardError = FileHandle(forWritingAtPath: problems)
        try tree.run()
        // Without its worker a tree starts nothing, and a program whose execution is being compared does not survive it.
        let start = Date()
        while tree.isRunning, !Self.isExecuting("portcullis-vict", tree.processIdentifier),
            Date().timeIntervalSince(start) < Effort.patience(60)
        { Self.pause() }
        var kills = 0
        // Bounded: where a worker takes longer to start than it lives, nothing would ever be answered.
        while tree.isRunning, kills < 100 {
            Thread.sleep(forTimeInterval: 0.05)
            if let pid = pid(of: "worker"), kill(pid, SIGKILL) == 0 { kills += 1 }
        }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        tree.waitUntilExit()
        let problem = (try? String(contentsOfFile: problems, encoding: .utf8)) ?? ""
        return (problem + text, kills)
    }

    /// Whether a process executes a program, and nobody traces it any more.
    private static func isExecuting(_ name: String, _ pid: Int32) -> Bool {
        guard let status = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8) else { return false }
        return status.contains("Name:\t\(name)\n") && status.contains("TracerPid:\t0\n")
    }

    func stop() {
        if process.isRunning {
            // nsenter(1) waits for the agent, its only child.
            if !place.enterWaits { kill(pid, SIGTERM) } else { children.forEach { kill($0, SIGTERM) } }
        }
        process.wait()
    }

    private var children: [Int32] {
        let text = try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)
        return (text ?? "").split(separator: " ").compactMap { Int32($0) }
    }

    static func pause() { Thread.sleep(forTimeInterval: 0.01) }

    /// Waits until something is so; a failure if it never is.
    static func wait(sourceLocation: SourceLocation = #_sourceLocation, until isSo: () throws -> Bool) rethrows {
        let end = Date().addingTimeInterval(Effort.patience(90))
        while try !isSo() {
            guard Date() < end else {
                Issue.record("it never came to be", sourceLocation: sourceLocation)
                return
            }
            pause()
        }
    }
}
