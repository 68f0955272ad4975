import Foundation
import Testing

/// A program that speaks gRPC and was not told of Portcullis: grpcio, and protos made from the published description of
/// KubeArmor's services.
final class ForeignClient {
    private let process = Process()
    private let output: String

    /// Starts to watch a stream, and returns when the server has answered.
    init(_ arguments: [String], folder: String) throws {
        output = folder + "/foreign-\(UUID().uuidString.prefix(8))"
        _ = FileManager.default.createFile(atPath: output, contents: nil)
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = Self.command(arguments)
        process.standardOutput = FileHandle(forWritingAtPath: output)
        process.standardError = FileHandle(forWritingAtPath: output)
        try process.run()
        let end = Date().addingTimeInterval(90)
        while !text.hasPrefix("ready\n"), process.isRunning, Date() < end { AgentUnderTest.pause() }
        guard text.hasPrefix("ready\n") else { throw ScratchError(text: "the client does not start: \(text)") }
    }

    deinit { if process.isRunning { process.terminate() } }

    private var text: String { (try? String(contentsOfFile: output, encoding: .utf8)) ?? "" }

    /// What it printed after `ready`, once it has ended.
    func records() -> [[String: Any]] {
        process.waitUntilExit()
        return text.split(separator: "\n").dropFirst().compactMap(Self.object)
    }

    /// Runs a verb to its end and returns the object it prints.
    static func ask(_ arguments: [String], input: String? = nil) -> [String: Any] {
        let result = Shell.run(command(arguments), input: input)
        guard let object = object(Substring(result.output.trimmingCharacters(in: .newlines))) else {
            return ["problem": result.error + result.output]
        }
        return object
    }

    private static func object(_ line: Substring) -> [String: Any]? {
        try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
    }

    /// The protos, made once from the description.
    private static let protos: String = {
        let shared = ProcessInfo.processInfo.environment["PORTCULLIS_SHARED"] ?? TestFiles.package + "/../shared"
        let folder = "/tmp/portcullis-foreign-protos-\(getpid())"
        let result = Shell.run(
            TestFiles.package + "/integration/foreign-client/build-protos", shared + "/compat/grpc-api.md", folder)
        return result.status == 0 ? folder : "no protos: \(result.error)"
    }()

    private static func command(_ arguments: [String]) -> [String] {
        [
            "env", "PYTHONPATH=\(TestFiles.package)/.build-python", "python3",
            TestFiles.package + "/integration/foreign-client/client", "--timeout", "30", protos,
        ] + arguments
    }
}
