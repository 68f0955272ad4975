import Foundation

/// The built tool, run as a user would.
struct ToolRun {
    let status: Int32
    let output: String
    let error: String

    /// The products lie beside the test bundle.
    static let binary: String = {
        for base in CommandLine.arguments + [Bundle.main.bundlePath] {
            var url = URL(fileURLWithPath: base)
            while url.path != "/" {
                url.deleteLastPathComponent()
                let candidate = url.appendingPathComponent("portcullis").path
                var isFolder: ObjCBool = false
                if FileManager.default.fileExists(atPath: candidate, isDirectory: &isFolder), !isFolder.boolValue,
                    FileManager.default.isExecutableFile(atPath: candidate)
                {
                    return candidate
                }
            }
        }
        return ".build/debug/portcullis"
    }()

    init(_ arguments: [String], input: String = "", prefix: [String] = [], environment: [String: String] = [:]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = prefix + [Self.binary] + arguments
        process.environment = ["PATH": "/usr/bin:/bin", "TERM": "xterm"].merging(environment) { $1 }
        let (out, err, inp) = (Pipe(), Pipe(), Pipe())
        (process.standardOutput, process.standardError, process.standardInput) = (out, err, inp)
        try process.run()
        try inp.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try inp.fileHandleForWriting.close()
        output = String(decoding: out.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        error = String(decoding: err.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        status = process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
    }

    init(_ arguments: String...) throws { try self.init(arguments) }
}

/// A folder of a test's own, removed at its end.
final class TestFolder {
    let path: String

    init() throws {
        path = "/tmp/portcullis-cli-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file and returns its path.
    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        let file = "\(path)/\(name)"
        let folder = URL(fileURLWithPath: file).deletingLastPathComponent()
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try text.write(toFile: file, atomically: false, encoding: .utf8)
        return file
    }
}
