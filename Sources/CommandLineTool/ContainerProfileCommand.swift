import ClientSupport
import ArgumentParser
import ControlProtocol
import SyscallEnforcement

/// `portcullis container-profile`
struct ContainerProfileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "container-profile",
        abstract: "Writes a seccomp profile by which a container runtime hands its containers to the agent.",
        discussion: """
            For podman: --security-opt seccomp=FILE. For runc and crun: linux.seccomp of config.json. The container starts when the \
            agent has taken it over, under the container and cluster policies that select it, and not at all if the agent does not.
            """)

    @Option(help: ArgumentHelp("The agent's socket for runtimes.", valueName: "path"))
    var listener = DefaultPaths.ownRuntimeSocket

    @Option(
        help: ArgumentHelp(
            "The container's name, for policies and alerts; otherwise what the runtime says.", valueName: "name"))
    var name: String?
    @Option(help: ArgumentHelp("Its image.", valueName: "reference"))
    var image: String?
    @Option(help: ArgumentHelp("Its namespace.", valueName: "name"))
    var namespace: String?
    @Option(help: ArgumentHelp("A label; may be given more than once.", valueName: "key=value"))
    var label: [String] = []
    @Option(
        help: ArgumentHelp(
            "A call that rules on system calls are to report; may be given more than once.", valueName: "name"))
    var report: [String] = []

    @Flag(
        help:
            "No signal interrupts a call that is being performed: for Linux 5.19 and a runtime that knows the flag (crun 1.8, runc 1.2)."
    )
    var waitKillable = false

    func validate() throws {
        for label in label where !label.contains("=") {
            throw ValidationError("--label must be key=value, not '\(label)'")
        }
        for text in [name, image, namespace].compactMap({ $0 }) + label where text.contains(",") {
            throw ValidationError("'\(text)' must not contain a comma")
        }
        for call in report where !FilterNeeds.canReport(call) {
            throw ValidationError("'\(call)' is no call that can be reported")
        }
    }

    func run() throws {
        let words =
            [("name", name), ("image", image), ("namespace", namespace)].compactMap { key, value in
                value.map { "\(key)=\($0)" }
            } + label.map { "label.\($0)" }
        try StandardStreams.write(
            json: ContainerProfile(
                listenerPath: listener, metadata: words.isEmpty ? nil : words.joined(separator: ","),
                waitsKillably: waitKillable, reporting: Set(report)))
    }
}
