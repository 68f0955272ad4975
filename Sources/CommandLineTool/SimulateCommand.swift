import ClientSupport
import ArgumentParser
import ControlProtocol
import Glibc
import LinuxKernel
import PolicyEngine
import PolicyModel

/// `portcullis simulate`
struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Tells the verdict on an operation and the rule that gives it; needs neither agent nor privileges.",
        discussion: """
            Host policies that select the host are used. Exactly one of --open, --exec, --socket and --connect says what is \
            done. Symlinks of this machine are followed as the kernel would, unless --literal.
            """)

    @Option(
        help: ArgumentHelp("A policy file, or a folder of them; repeatable.", valueName: "path"), completion: .file())
    var policies: [String] = []

    @Option(help: ArgumentHelp("The calling program's executable.", valueName: "path"))
    var exe: String

    @Option(
        help: ArgumentHelp("Executable of the caller's parent process, for --exec; otherwise --exe.", valueName: "path")
    )
    var parent: String?

    @Option(help: ArgumentHelp("The caller's user id; otherwise your own.", valueName: "number"))
    var uid: UInt32?

    @Option(help: ArgumentHelp("The user id that owns the file; otherwise that of the file here.", valueName: "number"))
    var owner: UInt32?

    @Flag(help: "The caller has a controlling terminal.")
    var tty = false

    @Option(help: ArgumentHelp("Open this file.", valueName: "path"))
    var open: String?

    @Flag(help: "Open it for writing.")
    var write = false

    @Option(help: ArgumentHelp("Execute this file.", valueName: "path"))
    var exec: String?

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Arguments of the executed program, after argv[0].", valueName: "argument"))
    var args: [String] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("One argument more, also with a leading dash; repeatable.", valueName: "argument"))
    var arg: [String] = []

    @Option(help: ArgumentHelp("Create a socket, such as inet:stream:tcp.", valueName: "domain:type:proto"))
    var socket: SocketArgument?

    @Option(
        help: ArgumentHelp(
            "Connect; the verdict is that on the socket it needs.", valueName: "addr:port/proto"))
    var connect: ConnectArgument?

    @Option(
        help: ArgumentHelp(
            "Default posture of file, network or capabilities: allow, audit or block; repeatable.",
            valueName: "category=posture"))
    var posture: [PostureArgument] = []

    @Option(help: ArgumentHelp("The host's name; otherwise this machine's.", valueName: "name"))
    var host: String?

    @Option(help: ArgumentHelp("A further label of the host; repeatable.", valueName: "key=value"))
    var label: [FieldFilter] = []

    @Flag(help: "Take every path as written, without looking at this machine's symlinks.")
    var literal = false

    @OptionGroup var output: OutputOptions

    func validate() throws {
        if policies.isEmpty { throw ValidationError("Missing expected argument '--policies <path>'") }
        let operations = [open != nil, exec != nil, socket != nil, connect != nil].filter { $0 }.count
        guard operations == 1 else {
            throw ValidationError("Give exactly one of --open, --exec, --socket and --connect")
        }
        if write && open == nil { throw ValidationError("--write goes with --open") }
        if exec == nil && !(args.isEmpty && arg.isEmpty) { throw ValidationError("--args goes with --exec") }
        for (name, path) in [("--exe", exe), ("--parent", parent), ("--open", open), ("--exec", exec)] {
            guard let path else { continue }
            guard path.hasPrefix("/"), !path.utf8.contains(0), path.utf8.count < PATH_MAX else {
                throw ValidationError("\(name) needs an absolute path")
            }
        }
    }

    func run() throws {
        let all = try PolicyCollection(at: policies).policies
        let host = host ?? HostName.own
        let node = NodeLabels(
            host: host, further: Dictionary(label.map { ($0.field, $0.text) }, uniquingKeysWith: { $1 }))
        let selected = all.filter(node.select)
        let compiled: CompiledSnapshot
        do {
            compiled = try SnapshotCompiler().compile(
                policies: selected, postures: PostureArgument.postures(posture),
                aliases: literal ? [] : Self.aliases(of: selected), generation: 1)
        } catch {
            throw ToolFailure(error.description)
        }
        let path = (open ?? exec).map(named)
        let report = SimulationReport(
            try simulation(path).verdict(compiled), rules: compiled.rules, host: host,
            selectedPolicies: selected.count, policies: all.count, path: path)
        if output.json { return try StandardStreams.write(json: report) }
        try StandardStreams.write(report.lines(.standardOutput))
    }

    private func simulation(_ path: String?) throws -> Simulation {
        let operation: Simulation.Operation
        if let path {
            operation = exec == nil ? .open(path: path, write: write) : .execute(path: path, arguments: args + arg)
        } else if let socket = socket ?? connect?.socket {
            operation = .socket(socket)
        } else {
            throw ValidationError("Give exactly one of --open, --exec, --socket and --connect")
        }
        let source = exec == nil ? exe : parent ?? exe
        return Simulation(
            operation: operation, source: named(source), isOwner: path.flatMap(ownership), hasTerminal: tty)
    }

    /// Second names for what the rules are about, as they are on this machine.
    private static func aliases(of policies: [Policy]) -> [PathAlias] {
        PathAlias.names(in: policies).compactMap { name in
            let canonical = RealName.of(name)
            return canonical == name ? nil : PathAlias(literal: name, canonical: canonical)
        }
    }

    /// A path as the engine gets it: no trailing slash, without symlinks.
    private func named(_ path: String) -> String {
        var path = path
        while path.utf8.count > 1 && path.hasSuffix("/") { path.removeLast() }
        return literal ? path : RealName.of(path)
    }

    private func ownership(of path: String) -> Bool? {
        let caller = uid ?? getuid()
        if let owner { return caller == owner }
        var status = stat()
        return stat(path, &status) == 0 ? status.st_uid == caller : nil
    }
}
