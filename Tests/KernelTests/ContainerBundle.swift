import Foundation

/// An OCI bundle (integration/container-bundle) on a tmpfs of its own, whose containers a runtime hands to an agent.
final class ContainerBundle {
    /// A container runtime of Debian.
    enum Runtime: String, CaseIterable {
        case runc, crun
    }

    let directory: String
    private let agent: AgentUnderTest
    private var names: Set<String> = []
    /// What is configured next is in the network of whoever starts it.
    var sharesNetwork = false
    /// What is configured next is in this network namespace, a file; `nil` for a new one.
    var networkNamespace: String?

    init(_ agent: AgentUnderTest) throws {
        self.agent = agent
        directory = "/tmp/portcullis-bundle-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try Filesystem.mountTmpfs(at: directory)
        try Shell.check(
            TestFiles.package + "/integration/container-bundle", directory,
            AgentUnderTest.binaries + "/portcullis-victim")
    }

    deinit {
        for name in names { _ = Shell.run("runc", "delete", "--force", name) }
        _ = Shell.run("umount", "-l", directory)
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Writes config.json: what runs, and under which profile.
    ///
    /// - Parameter profile: options of `portcullis container-profile`; `nil` for no profile.
    func configure(_ words: [String], profile: [String]? = ["--name", "web", "--label", "app=web"]) throws {
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
        try JSONSerialization.data(withJSONObject: config).write(to: URL(fileURLWithPath: path))
    }

    /// The command that runs the configured container.
    func command(_ runtime: Runtime = .runc) -> [String] {
        let name = "portcullis-\(UUID().uuidString.prefix(8).lowercased())"
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
