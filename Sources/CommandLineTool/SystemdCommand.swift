import ClientSupport
import ArgumentParser
import ControlProtocol
import Glibc
import LinuxKernel

/// `portcullis systemd`
struct SystemdCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "systemd", abstract: "Has systemd start a service in a supervised tree.",
        subcommands: [SystemdEnableCommand.self, SystemdDisableCommand.self])
}

/// Where the unit's files are.
struct SystemdOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The service, with or without .service.", valueName: "unit"))
    var unit: String

    @Option(help: ArgumentHelp("Change units below this directory, not the running system's.", valueName: "directory"))
    var root = ""

    /// The files; a directory without slashes at the end.
    func files() throws(ToolFailure) -> SystemdFiles {
        var directory = Substring(root)
        while directory.hasSuffix("/") { directory.removeLast() }
        return try SystemdFiles(root: String(directory), unit: unit)
    }

    /// Has a running systemd read its files again.
    func reload() -> String? {
        guard root.isEmpty, access("/run/systemd/system", F_OK) == 0 else { return nil }
        var pid: pid_t = 0
        let words = ["systemctl", "daemon-reload"]
        var arguments = words.map { strdup($0) } + [nil]
        defer { arguments.forEach { free($0) } }
        guard posix_spawnp(&pid, "systemctl", nil, nil, &arguments, environ) == 0 else {
            return "systemctl cannot be run; 'systemctl daemon-reload' is still to be done"
        }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return status == 0 ? nil : "'systemctl daemon-reload' has failed; it is still to be done"
    }
}

/// `portcullis systemd enable UNIT`
struct SystemdEnableCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enable",
        abstract: "Writes a drop-in that starts the service's program by the launcher of supervised trees.",
        discussion: """
            The program is the service's main process, as without; it holds at the next start of the service. Services that run as another
            user than root cannot be wrapped: the launcher would not reach the agent.
            """)

    @OptionGroup var systemd: SystemdOptions

    @Option(
        help: ArgumentHelp(
            "Policies that hold for this service only: a file, or a folder; repeatable. An absolute path.",
            valueName: "path"),
        completion: .file())
    var policies: [String] = []

    @Option(help: ArgumentHelp("The agent's unit, which the service then requires.", valueName: "unit"))
    var agentUnit = "portcullisd.service"

    @Option(help: ArgumentHelp("The launcher, portcullis-launch, as the service finds it.", valueName: "path"))
    var launcher: String?

    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let files = try systemd.files()
        let unit = try files.read()
        let text = try Self.dropIn(unit, unit: files.unit, launcher: launcherWords(), agentUnit: agentUnit)
        try files.write(text)
        var messages = ["\(files.unit): \(files.dropIn) written; it holds when the service is started again"]
        if let warning = Self.warning(unit, unit: files.unit) { messages.append(warning) }
        if let problem = systemd.reload() { messages.append(problem) }
        try ChangeReport(messages: messages).write(output)
    }

    private func launcherWords() throws(ToolFailure) -> String {
        let found: String
        do { found = try launcher ?? CompanionProgram.find(RunCommand.launcher).path } catch {
            throw ToolFailure("\(error)")
        }
        var words = [found]
        if agent.socket != DefaultPaths.socket { words += ["--socket", agent.socket] }
        for path in policies {
            guard path.hasPrefix("/") else { throw ToolFailure("\(path): systemd needs an absolute path") }
            words += ["--policies", path]
        }
        return words.map(Self.quoted).joined(separator: " ")
    }

    /// A word as systemd.service(5) reads it.
    static func quoted(_ word: String) -> String {
        var result = ""
        for character in word {
            switch character {
            case "\\", "\"": result += "\\" + String(character)
            case "%": result += "%%"
            case "$": result += "$$"
            default: result.append(character)
            }
        }
        return word.contains { " \t'\"\\;".contains($0) } ? "\"\(result)\"" : result
    }

    /// What a wrapped service will lack that it cannot do without; `nil` for nothing.
    static func warning(_ unit: SystemdUnit, unit name: String) -> String? {
        guard unit.value("Type") == "dbus" else { return nil }
        return "\(name): Type=dbus: a tree with rules may not ask the system bus, "
            + "unless the agent has --on-failure manager-asked=allow"
    }

    /// The drop-in for a unit.
    static func dropIn(
        _ unit: SystemdUnit, unit name: String, launcher: String, agentUnit: String
    ) throws(ToolFailure) -> String {
        if let user = unit.value("User"), user != "root", user != "0" {
            throw ToolFailure("\(name): runs as \(user), and only root reaches the agent: it cannot be wrapped")
        }
        for setting in ["RootDirectory", "RootImage", "DynamicUser"] {
            if let value = unit.value(setting), !["no", "false", "0", "off", "/"].contains(value.lowercased()) {
                throw ToolFailure(
                    "\(name): \(setting)=\(value) keeps the launcher from the agent: it cannot be wrapped")
            }
        }
        let commands = unit.values("ExecStart")
        guard !commands.isEmpty else { throw ToolFailure("\(name): has no ExecStart= to wrap") }
        var lines: [String] = []
        for command in commands {
            guard let wrapped = SystemdUnit.supervised(command, launcher: launcher) else {
                throw ToolFailure("\(name): ExecStart=\(command) names its own argv[0], which would be lost")
            }
            lines.append("ExecStart=\(wrapped)")
        }
        return """
            # Written by 'portcullis systemd enable'; 'portcullis systemd disable' removes it.
            [Unit]
            Requires=\(agentUnit)
            After=\(agentUnit)

            [Service]
            # An empty one takes back those of the unit.
            ExecStart=
            \(lines.joined(separator: "\n"))

            """
    }
}

/// `portcullis systemd disable UNIT`
struct SystemdDisableCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disable", abstract: "Removes the drop-in: the service starts as it did before.")

    @OptionGroup var systemd: SystemdOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let files = try systemd.files()
        guard try files.remove() else { throw ToolFailure("\(files.unit): there is no \(files.dropIn)") }
        var messages = ["\(files.unit): \(files.dropIn) removed; it holds when the service is started again"]
        if let problem = systemd.reload() { messages.append(problem) }
        try ChangeReport(messages: messages).write(output)
    }
}
