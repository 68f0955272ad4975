import Foundation
import LinuxKernel

/// A network namespace of the test's own, in which only loopback is up.
final class ScratchNamespace {
    let name = "pc-" + UUID().uuidString.prefix(8).lowercased()
    let namespace: NetworkNamespace

    init() throws {
        try Self.command("ip", "netns", "add", name)
        try Self.command("ip", "-n", name, "link", "set", "lo", "up")
        namespace = try NetworkNamespace(path: "/run/netns/\(name)")
    }

    deinit { _ = try? Self.command("ip", "netns", "del", name) }

    /// Runs `body` on a thread in the namespace.
    func run<Value>(_ body: () throws -> Value) throws -> Value {
        try namespace.run { Result { try body() } }.get()
    }

    /// Runs nft(8) in it.
    @discardableResult func nft(_ arguments: String...) throws -> String {
        try Self.command(["ip", "netns", "exec", name, "nft"] + arguments)
    }

    @discardableResult private static func command(_ arguments: String...) throws -> String { try command(arguments) }

    private static func command(_ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        let (output, errors) = (Foundation.Pipe(), Foundation.Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let problem = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(text: "\(arguments): \(problem)") }
        return text
    }

    struct Failure: Error, CustomStringConvertible {
        let text: String
        var description: String { text }
    }
}
