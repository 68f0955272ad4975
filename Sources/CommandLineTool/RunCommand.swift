import ArgumentParser
import ClientSupport
import LinuxKernel

/// `portcullis run -- CMD ARG…`: says what is wrong with the options, and becomes the launcher, which does the rest.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Runs a program, and all that it starts, as a supervised tree.",
        discussion: """
            The agent decides the program's system calls as well as its opens: rules on sockets, on changes of names and
            metadata, and on capabilities hold for it too. It starts when the agent has taken it over, and not at all if the agent
            does not. This process becomes the program: its signals and its end are the program's.
            """)

    @Argument(
        parsing: .postTerminator, help: ArgumentHelp("The program and its arguments, after --.", valueName: "command"))
    var command: [String]

    @Option(
        help: ArgumentHelp(
            "Policies that hold for this tree only, besides the host's: a file, or a folder; repeatable. Selectors of container and cluster policies are not looked at.",
            valueName: "path"),
        completion: .file())
    var policies: [String] = []

    @Flag(
        help: ArgumentHelp(
            "A second wall: Landlock forbids the tree to change files itself, which the agent does for it. It cannot look into other programs' /proc then, and leaves no core files."
        ))
    var landlock = false

    @OptionGroup var agent: AgentOptions

    func validate() throws {
        if command.isEmpty { throw ValidationError("Missing the program, after --") }
    }

    func run() throws {
        let launcher: CompanionProgram
        do { launcher = try CompanionProgram.find(Self.launcher) } catch { throw ToolFailure("\(error)") }
        let error = launcher.become(
            arguments: ["portcullis", "--socket", agent.socket] + policies.flatMap { ["--policies", $0] }
                + (landlock ? ["--landlock"] : []) + ["--"] + command)
        throw ToolFailure("\(launcher.path): \(systemMessage(error))")
    }

    /// What starts programs in supervised trees.
    static let launcher = "portcullis-launch"
}
