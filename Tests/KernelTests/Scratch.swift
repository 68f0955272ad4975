import Foundation
import Testing

/// A scratch directory on a tmpfs of its own, so that no mark ever reaches a filesystem in use.
///
/// Holds the tree that the scenarios use: `prot/secret`, `work/`, `bin/denied`, `bin/allowed`. Unmounted and removed at the end.
final class Scratch: Place {
    let root: String
    let outside: String
    let enter: [String] = []
    var agentDirectory: String { outside }
    var logDirectory: String { outside }
    var binaries: String { AgentUnderTest.binaries }

    /// - Parameter mount: mounts a filesystem on the directory it is given.
    init(_ mount: (String) throws -> Void = Scratch.tmpfs) throws {
        let id = UUID().uuidString.prefix(8)
        root = "/tmp/portcullis-test-\(id)"
        outside = "/tmp/portcullis-agent-\(id)"
        for path in [root, outside] {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        try mount(root)
        for name in ["prot", "prot/sub", "work", "bin"] {
            try FileManager.default.createDirectory(atPath: "\(root)/\(name)", withIntermediateDirectories: true)
        }
        try write("prot/secret", "SECRET\n")
        try write("prot/sub/deep", "SECRET\n")
        try write("work/plain", "PLAIN\n")
        for name in ["denied", "allowed"] { try copyProgram(to: "bin/\(name)") }
        chmod(root, 0o755)
    }

    static func tmpfs(_ path: String) throws {
        try Shell.check("mount", "-t", "tmpfs", "-o", "size=64m", "portcullis-test", path)
    }

    deinit {
        _ = Shell.run("umount", "-l", root)
        try? FileManager.default.removeItem(atPath: root)
        try? FileManager.default.removeItem(atPath: outside)
    }

    func path(_ name: String) -> String { "\(root)/\(name)" }

    func write(_ name: String, _ text: String) throws {
        try text.write(toFile: path(name), atomically: false, encoding: .utf8)
    }

    func text(_ name: String) -> String? { try? String(contentsOfFile: path(name), encoding: .utf8) }

    /// A program that leaves the file it is given behind when it runs, whatever it is called.
    func copyProgram(to name: String) throws {
        try FileManager.default.copyItem(atPath: "/usr/bin/touch", toPath: path(name))
        chmod(path(name), 0o755)
    }
}

/// Runs programs and collects what they say.
enum Shell {
    struct Result {
        var status: Int32
        var output: String
        var error: String
    }

    static func run(_ arguments: String..., input: String? = nil) -> Result { run(arguments, input: input) }

    static func run(_ arguments: [String], input: String? = nil) -> Result {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        let (out, err, inp) = (Pipe(), Pipe(), Pipe())
        process.standardOutput = out
        process.standardError = err
        process.standardInput = inp
        do { try process.run() } catch { return Result(status: 127, output: "", error: "\(error)") }
        if let input { try? inp.fileHandleForWriting.write(contentsOf: Data(input.utf8)) }
        try? inp.fileHandleForWriting.close()
        let output = out.fileHandleForReading.readDataToEndOfFile()
        let error = err.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Result(
            status: process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus,
            output: String(decoding: output, as: UTF8.self), error: String(decoding: error, as: UTF8.self))
    }

    static func check(_ arguments: String...) throws {
        let result = run(arguments)
        if result.status != 0 { throw ScratchError(text: "\(arguments): \(result.error)") }
    }
}

struct ScratchError: Error, CustomStringConvertible {
    let text: String
    var description: String { text }
}
