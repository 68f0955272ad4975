import Foundation
import RPCTransport
import Synchronization
import Testing

@testable import RelayService

/// Asks a relay's web server as curl does.
struct WebClient {
    /// What came back.
    struct Answer {
        var status: Int
        var head: String
        var body: String

        /// A field of the head.
        func field(_ name: String) -> String? {
            head.split(whereSeparator: \.isNewline).first { $0.lowercased().hasPrefix(name + ":") }.map {
                $0.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces)
            }
        }
    }

    let port: Int
    let folder: TestFolder
    /// `ROLE-NAME` of the certificate it shows; `nil` for none.
    var certificate: String?

    /// Asks. Nothing is printed, and what takes longer than 30 seconds has status 0.
    func ask(_ path: String, _ arguments: [String] = [], scheme: String = "https") async throws -> Answer {
        var words = command + ["-i", "-m", "60"]
        words += arguments + ["\(scheme)://localhost:\(port)\(path)"]
        let output = try await Self.run(words)
        let parts = output.components(separatedBy: "\r\n\r\n")
        let status = parts[0].split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return Answer(status: status, head: parts[0], body: parts.dropFirst().joined(separator: "\r\n\r\n"))
    }

    private var command: [String] {
        var words = ["curl", "-s", "--path-as-is", "--cacert", folder.authority.path + "/ca.crt"]
        guard let certificate else { return words }
        words += ["--cert", "\(folder.authority.path)/\(certificate).crt"]
        return words + ["--key", "\(folder.authority.path)/\(certificate).key"]
    }

    /// Opens a stream, and returns when what has come is enough; what has come.
    func stream(
        _ path: String, _ arguments: [String] = [], until isEnough: @escaping @Sendable (String) -> Bool
    ) async throws -> WebStream {
        let stream = try WebStream(command + ["-N"] + arguments + ["https://localhost:\(port)\(path)"])
        let end = ContinuousClock.now + .seconds(90)
        while !isEnough(stream.text), ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(20)) }
        return stream
    }

    /// Runs a program and returns what it prints, without keeping a thread of the tests waiting.
    static func run(_ words: [String]) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                do {
                    // Its end is the end of what it prints: the sockets by which Foundation sees it end are inherited by others.
                    let (_, output) = try WebStream.start(words)
                    let data = output.readDataToEndOfFile()
                    continuation.resume(returning: String(decoding: data, as: UTF8.self))
                } catch { continuation.resume(throwing: error) }
            }
        }
    }
}

/// A stream that is open until it is let go.
final class WebStream: Sendable {
    private let received = Mutex("")
    private let process: Mutex<Process>

    init(_ words: [String]) throws {
        let (process, reading) = try Self.start(words)
        self.process = Mutex(process)
        Thread.detachNewThread { [weak self] in
            while case let data = reading.availableData, !data.isEmpty {
                self?.received.withLock { $0 += String(decoding: data, as: UTF8.self) }
            }
        }
    }

    /// Starts a program; what it prints comes out of the handle. Other tests start programs at the same time, which would keep a pipe
    /// of Foundation's open: this one is closed on exec.
    fileprivate static func start(_ words: [String]) throws -> (Process, FileHandle) {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        try #require(socketpair(AF_UNIX, kind, 0, &ends) == 0)
        let reading = FileHandle(fileDescriptor: ends[0], closeOnDealloc: true)
        let writing = FileHandle(fileDescriptor: ends[1], closeOnDealloc: true)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = words
        process.standardOutput = writing
        process.standardError = FileHandle.nullDevice
        defer { try? writing.close() }
        try process.run()
        return (process, reading)
    }

    deinit { process.withLock { _ = kill($0.processIdentifier, SIGKILL) } }

    /// The program's.
    var pid: Int32 { process.withLock { $0.processIdentifier } }

    /// What has come so far.
    var text: String { received.withLock { $0 } }
}
