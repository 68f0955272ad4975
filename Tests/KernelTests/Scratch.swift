import Foundation
import Testing

/// A scratch directory on a filesystem of its own, so that no mark ever reaches a filesystem in use.
///
/// Holds the tree that the scenarios use: `prot/secret`, `work/`, `bin/denied`, `bin/allowed`. Unmounted and removed at the end.
final class Scratch: Place {
    let root: String
    let outside: String
    let enter: [String]
    let enterWaits = false
    var agentDirectory: String { outside }
    var logDirectory: String { outside }
    var binaries: String { AgentUnderTest.binaries }

    /// A user without privileges, whom the tests need not know by name.
    static let user = "61234"

    /// The command that runs another one as a user without privileges.
    static func become(_ user: String) -> [String] {
        [
            "/usr/bin/setpriv", "--reuid=\(user)", "--regid=\(user)", "--clear-groups", "--inh-caps=-all",
            "--bounding-set=-all",
        ]
    }

    /// - Parameters:
    ///   - user: who owns it, and runs agent and victims; `nil` for root.
    ///   - kernel: a release like whose kernel this one answers agent and victims; `nil` for itself.
    init(_ filesystem: Filesystem = .tmpfs, ownedBy user: String? = nil, like kernel: String? = nil) throws {
        enter =
            (kernel.map { [AgentUnderTest.binaries + "/portcullis-victim", "like-kernel", $0] } ?? [])
            + (user.map { Self.become($0) } ?? [])
        let id = UUID().uuidString.prefix(8)
        root = "/tmp/portcullis-test-\(id)"
        outside = "/tmp/portcullis-agent-\(id)"
        for path in [root, outside] {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        try filesystem.mount(at: root, support: outside, populate: Self.populate)
        chmod(root, 0o755)
        if let user { try Shell.check("chown", "-R", "\(user):\(user)", root, outside) }
    }

    private static func populate(_ root: String) throws {
        for name in ["prot", "prot/sub", "work", "bin"] {
            try FileManager.default.createDirectory(atPath: "\(root)/\(name)", withIntermediateDirectories: true)
        }
        for (name, text) in [("prot/secret", "SECRET\n"), ("prot/sub/deep", "SECRET\n"), ("work/plain", "PLAIN\n")] {
            try text.write(toFile: "\(root)/\(name)", atomically: false, encoding: .utf8)
        }
        for name in ["denied", "allowed"] {
            // Leaves the file it is given behind when it runs, whatever it is called.
            try FileManager.default.copyItem(atPath: "/usr/bin/touch", toPath: "\(root)/bin/\(name)")
            chmod("\(root)/bin/\(name)", 0o755)
        }
    }

    deinit {
        for path in [root, outside + "/layers"] { umount2(path, Int32(MNT_DETACH)) }
        try? FileManager.default.removeItem(atPath: root)
        try? FileManager.default.removeItem(atPath: outside)
    }

    func path(_ name: String) -> String { "\(root)/\(name)" }

    func write(_ name: String, _ text: String) throws {
        try text.write(toFile: path(name), atomically: false, encoding: .utf8)
    }

    func text(_ name: String) -> String? { try? String(contentsOfFile: path(name), encoding: .utf8) }
}
