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

    private let process = Process()
    private let errors: String
    let scratch: Scratch
    let directory: String
    let alertsPath: String
    let socket: String
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

    /// Starts the agent on policies in which `@` stands for the scratch root, and waits until it enforces.
    init(_ scratch: Scratch, policies: [String: String], options: [String] = []) throws {
        self.scratch = scratch
        directory = scratch.outside
        try FileManager.default.createDirectory(atPath: directory + "/policies", withIntermediateDirectories: true)
        alertsPath = directory + "/alerts.jsonl"
        socket = directory + "/run/agent.sock"
        errors = directory + "/stderr"
        for (name, text) in policies { try Self.write(text, name, scratch) }
        _ = FileManager.default.createFile(atPath: errors, contents: nil)
        process.executableURL = URL(fileURLWithPath: Self.binaries + "/portcullisd")
        process.arguments =
            [
                "--policies", directory + "/policies", "--alerts", alertsPath, "--run-directory", directory + "/run",
                "--state-directory", directory + "/state", "--no-throttle",
            ] + options
        process.standardError = FileHandle(forWritingAtPath: errors)
        process.standardOutput = process.standardError
        let start = Date()
        try process.run()
        while !log.contains("Started to protect") {
            if !process.isRunning { throw ScratchError(text: "the agent has ended: \(log)") }
            if Date().timeIntervalSince(start) > 20 { throw ScratchError(text: "the agent does not start: \(log)") }
            Self.pause()
        }
        startSeconds = Date().timeIntervalSince(start)
    }

    deinit { stop() }

    static func write(_ text: String, _ name: String, _ scratch: Scratch) throws {
        try text.replacingOccurrences(of: "@", with: scratch.root)
            .write(toFile: scratch.outside + "/policies/" + name, atomically: true, encoding: .utf8)
    }

    /// What the agent wrote to standard error.
    var log: String { (try? String(contentsOfFile: errors, encoding: .utf8)) ?? "" }

    var pid: Int32 { process.processIdentifier }

    /// Process id of a role, from its pid file.
    func pid(of role: String) -> Int32? {
        (try? String(contentsOfFile: "\(directory)/run/\(role).pid", encoding: .utf8))
            .flatMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }

    /// The alerts so far, waiting until there are at least `count` of them that match and then a little longer, so that a
    /// doubled one is seen too.
    func alerts(atLeast count: Int = 0, where matches: (Alert) -> Bool = { _ in true }) -> [Alert] {
        let end = Date().addingTimeInterval(5)
        while read().filter(matches).count < count && Date() < end { Self.pause() }
        Thread.sleep(forTimeInterval: 0.06)
        return read().filter(matches)
    }

    private func read() -> [Alert] {
        guard let text = try? String(contentsOfFile: alertsPath, encoding: .utf8) else { return [] }
        return text.split(separator: "\n").compactMap {
            (try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]).map { Alert(fields: $0) }
        }
    }

    /// Runs the victim and returns what it printed.
    func victim(_ arguments: String...) -> Shell.Result {
        Shell.run([Self.binaries + "/portcullis-victim"] + arguments)
    }

    /// Runs the command line tool against this agent.
    func tool(_ arguments: String..., input: String? = nil) -> Shell.Result {
        Shell.run(["env", "PORTCULLIS_SOCKET=\(socket)", Self.binaries + "/portcullis"] + arguments, input: input)
    }

    func stop() {
        if process.isRunning { process.terminate() }
        process.waitUntilExit()
    }

    static func pause() { Thread.sleep(forTimeInterval: 0.01) }
}
