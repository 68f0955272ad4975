import Foundation

/// A program that runs beside a test; what it prints is at hand at any time.
final class Background {
    private let process = Process()
    private let output: String

    /// Starts it, and waits for its first line unless told not to.
    init(_ command: [String], folder: String, waits: Bool = true, environment: [String: String] = [:]) throws {
        output = folder + "/background-\(UUID().uuidString.prefix(8))"
        _ = FileManager.default.createFile(atPath: output, contents: nil)
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = environment.map { "\($0.key)=\($0.value)" } + command
        process.standardOutput = FileHandle(forWritingAtPath: output)
        process.standardError = FileHandle(forWritingAtPath: output)
        try Shell.withoutBlockedSignals { try process.run() }
        let end = Date().addingTimeInterval(Effort.patience(60))
        while waits, lines.count < 1, process.isRunning, Date() < end { AgentUnderTest.pause() }
    }

    deinit { stop() }

    var pid: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }
    /// CPU that it has used, in clock ticks (10 ms).
    var ticks: Int {
        let stat = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
        // Behind the name, which may be anything: state is the third field, user and system time are the 14th and 15th.
        let fields = stat.split(separator: ")").last?.split(separator: " ") ?? []
        return fields.count > 12 ? (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0) : 0
    }
    var text: String {
        String(decoding: FileManager.default.contents(atPath: output) ?? Data(), as: UTF8.self)
    }
    /// Whole lines so far.
    var lines: [String] { text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init) }

    /// Waits for its end; the exit code.
    func wait() -> Int32 {
        process.waitUntilExit()
        return process.terminationStatus
    }

    func stop() {
        guard process.isRunning else { return }
        kill(pid, SIGCONT)
        process.terminate()
        process.waitUntilExit()
    }
}
