import Foundation

/// A root filesystem of its own (integration/private-root), in which policies about `/etc` or `/usr/bin` are enforced as they are
/// published, without a mark on the machine's own filesystems.
final class PrivateRoot: Place {
    let root = ""
    let agentDirectory = "/state"
    let binaries = "/usr/bin"
    let enter: [String]
    var outside: String { mount + "/state" }
    /// The root, as the test sees it.
    let mount: String
    let logDirectory: String
    private let holder: Int32
    private let process = Process()

    /// - Parameter programs: names in `/usr/bin` that are copied, besides our own programs.
    init(hostName: String, programs: [String]) throws {
        mount = "/tmp/portcullis-root-\(UUID().uuidString.prefix(8))"
        logDirectory = mount + "-log"
        for path in [mount, logDirectory] {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        let own = ["portcullisd", "portcullis-core", "portcullis-launch", "portcullis", "portcullis-victim"].map {
            "\(AgentUnderTest.binaries)/\($0)"
        }
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: TestFiles.package + "/integration/private-root")
        process.arguments = [mount, hostName] + own + programs.map { "/usr/bin/" + $0 }
        process.standardOutput = output
        try process.run()
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        guard let pid = Int32(line.trimmingCharacters(in: .newlines)) else {
            throw ScratchError(text: "no private root: \(line)")
        }
        holder = pid
        enter = ["/usr/bin/nsenter", "--target", "\(pid)", "--mount", "--uts", "--pid", "--"]
    }

    deinit {
        // The first process of the pid namespace: all others end with it.
        kill(holder, SIGKILL)
        process.waitUntilExit()
        _ = Shell.run("umount", "-l", mount)
        for path in [mount, logDirectory] { try? FileManager.default.removeItem(atPath: path) }
    }

    func text(_ path: String) -> String? { try? String(contentsOfFile: mount + path, encoding: .utf8) }

    func write(_ path: String, _ text: String) throws {
        try text.write(toFile: mount + path, atomically: false, encoding: .utf8)
    }
}

/// Files that tests read.
enum TestFiles {
    /// The package's own directory.
    static let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    private static let published =
        (ProcessInfo.processInfo.environment["PORTCULLIS_SHARED"] ?? package + "/../shared") + "/compat/policies"

    /// One of KubeArmor's published policies.
    static func publishedPolicy(_ name: String) throws -> String {
        try String(contentsOfFile: "\(published)/\(name).yaml", encoding: .utf8)
    }

    /// The names of all of them.
    static func publishedPolicies() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: published).filter { $0.hasSuffix(".yaml") }
            .map { String($0.dropLast(5)) }
    }
}
