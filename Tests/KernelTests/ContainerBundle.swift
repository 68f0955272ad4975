import Foundation

/// An OCI bundle (integration/container-bundle) on a tmpfs of its own, whose containers a runtime hands to an agent.
final class ContainerBundle {
    /// A container runtime of Debian.
    enum Runtime: String, CaseIterable {
        case runc, crun
    }

    /// What the root directory lies on.
    enum Root: String, CaseIterable {
        /// A directory of a file system that the host uses too, as with podman's driver vfs.
        case directory
        /// A file system of its own.
        case overlay
    }

    let directory: String
    private let agent: AgentUnderTest
    private let root: Root
    private var names: Set<String> = []
    /// Whose containers they are; `nil` for root's.
    private let user: String?
    /// What is configured next is in the network of whoever starts it.
    var sharesNetwork = false
    /// What is configured next is in this network namespace, a file; `nil` for a new one.
    var networkNamespace: String?

    init(_ agent: AgentUnderTest, _ root: Root = .directory, ownedBy user: String? = nil) throws {
        self.user = user
        self.agent = agent
        self.root = root
        directory = "/tmp/portcullis-bundle-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try Filesystem.mountTmpfs(at: directory)
        try Shell.check(
            TestFiles.package + "/integration/container-bundle", directory,
            AgentUnderTest.binaries + "/portcullis-victim")
        if let user { try Shell.check("chown", "-R", "\(user):\(user)", directory) }
        guard root == .overlay else { return }
        for name in ["upper", "work"] {
            try FileManager.default.createDirectory(atPath: "\(directory)/\(name)", withIntermediateDirectories: true)
        }
        try FileManager.default.moveItem(atPath: directory + "/rootfs", toPath: directory + "/lower")
        try FileManager.default.createDirectory(atPath: directory + "/rootfs", withIntermediateDirectories: true)
        try Shell.check(
            "mount", "-t", "overlay", "overlay", "-o",
            "lowerdir=\(directory)/lower,upperdir=\(directory)/upper,workdir=\(directory)/work", directory + "/rootfs")
    }

    deinit {
        for name in names { _ = Shell.run("runc", "delete", "--force", name) }
        if root == .overlay { _ = Shell.run("umount", "-l", directory + "/rootfs") }
        _ = Shell.run("umount", "-l", directory)
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Writes config.json: what runs, and under which profile.
    ///
    /// - Parameters:
    ///   - profile: options of `portcullis container-profile`; `nil` for no profile.
    ///   - hook: options of `portcullis-hook`; `nil` for no hooks.
    ///   - change: what else is to be said.
    func configure(
        _ words: [String], profile: [String]? = ["--name", "web", "--label", "app=web"], hook: [String]? = nil,
        _ change: (inout [String: Any]) -> Void = { _ in }
    ) throws {
        let path = directory + "/config.json"
        guard
            var config = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path)))
                as? [String: Any], var process = config["process"] as? [String: Any],
            var linux = config["linux"] as? [String: Any]
        else { throw ScratchError(text: path) }
        process["args"] = words
        process["terminal"] = false
        config["process"] = process
        config["root"] = ["path": "rootfs", "readonly": false]
        // Device filters of cgroup v2 are eBPF, which not every machine lets a test load.
        linux["resources"] = nil
        linux["seccomp"] = nil
        if let profile {
            let text = Shell.run(
                [AgentUnderTest.binaries + "/portcullis", "container-profile", "--listener", agent.runtimeSocket]
                    + profile)
            linux["seccomp"] = try JSONSerialization.jsonObject(with: Data(text.output.utf8))
        }
        if sharesNetwork, let namespaces = linux["namespaces"] as? [[String: Any]] {
            linux["namespaces"] = namespaces.filter { $0["type"] as? String != "network" }
        }
        if let networkNamespace, let namespaces = linux["namespaces"] as? [[String: Any]] {
            linux["namespaces"] =
                namespaces.filter { $0["type"] as? String != "network" } + [
                    ["type": "network", "path": networkNamespace]
                ]
        }
        config["linux"] = linux
        config["hooks"] = hook.map { options in
            Dictionary(
                uniqueKeysWithValues: ["createRuntime", "poststop"].map { stage in
                    let program = AgentUnderTest.binaries + "/portcullis-hook"
                    return (
                        stage,
                        [["path": program, "args": [program, stage, "--socket", agent.runtimeSocket] + options]]
                    )
                })
        }
        config["annotations"] =
            hook == nil ? nil : ["io.portcullis.name": "web", "io.portcullis.label.app": "web"]
        change(&config)
        try JSONSerialization.data(withJSONObject: config).write(to: URL(fileURLWithPath: path))
    }

    /// The command that runs the configured container.
    func command(_ runtime: Runtime = .runc) -> [String] {
        let name = "portcullis-\(UUID().uuidString.prefix(8).lowercased())"
        if let user {
            let options =
                ["--root", directory + "/" + runtime.rawValue] + (runtime == .crun ? ["--cgroup-manager=disabled"] : [])
            return ["timeout", "60", TestFiles.package + "/integration/rootless", user, runtime.rawValue] + options
                + ["run", "--bundle", directory, name]
        }
        names.insert(name)
        let run = [runtime.rawValue, "run", "--bundle", directory, name]
        // crun refuses a mixture of cgroup versions.
        let view =
            "umount -R /sys/fs/cgroup || umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && exec \"$@\""
        return ["timeout", "60"]
            + (runtime == .crun ? ["unshare", "-m", "--propagation", "private", "sh", "-c", view, "sh"] : []) + run
    }

    /// Runs a container to its end.
    func run(
        _ words: String..., profile: [String]? = ["--name", "web", "--label", "app=web"], by runtime: Runtime = .runc
    ) throws -> Shell.Result {
        try configure(words, profile: profile)
        return Shell.run(command(runtime))
    }

    /// A file of the container's, as the host sees it.
    func text(_ path: String) -> String? { try? String(contentsOfFile: directory + "/rootfs" + path, encoding: .utf8) }
}
