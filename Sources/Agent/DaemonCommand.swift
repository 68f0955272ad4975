import ControlProtocol
import AgentCore
import ArgumentParser
import FileEnforcement
import Glibc
import LinuxKernel
import PolicyModel

/// The command line of `portcullisd`.
public enum PortcullisDaemon {
    /// Runs the daemon, or a role of it. Returns the exit code.
    public static func run(_ arguments: [String]) -> Int32 {
        // The front is started by the guardian with fixed arguments: no parser in the way.
        if arguments.starts(with: ["--role", AgentRole.front.rawValue]) {
            return FrontProgram.run(Array(arguments.dropFirst(2)))
        }
        do {
            let command = try DaemonCommand.parse(arguments)
            return GuardianHandover.become(try command.settings(), arguments)
        } catch let error as ConfigurationError {
            FileHandleText.writeError("portcullisd: \(error)")
            return 1
        } catch {
            let text = DaemonCommand.fullMessage(for: error)
            let code = DaemonCommand.exitCode(for: error)
            if code.isSuccess { print(text) } else { FileHandleText.writeError(text) }
            return code.isSuccess ? 0 : 2
        }
    }
}

struct DaemonCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "portcullisd",
        abstract: "Enforces KubeArmor policies on this host.",
        discussion: "Without options: no policies, unix socket in /run/portcullis, no alerts file.",
        version: ReleaseVersion.text)

    @Option(help: ArgumentHelp("Configuration file (YAML); the command line wins over it.", valueName: "file"))
    var config: String?
    @Option(help: ArgumentHelp("Folder or file with policies; may be given more than once.", valueName: "path"))
    var policies: [String] = []
    @Option(help: ArgumentHelp("Append alerts to this file; '-' is standard output.", valueName: "file"))
    var alerts: String?
    @Option(
        help: ArgumentHelp(
            "Keys of the alerts: kubearmor (as its gRPC clients see them) or daemon (as its log file).",
            valueName: "keys"))
    var alertsKeys: String?
    @Flag(
        help:
            "Run without privileges: for supervised trees of the own user, whose every open and execution is decided as a system call."
    )
    var rootless = false
    @Flag(
        help:
            "Do without fanotify: rules hold in supervised trees only, whose every open and execution is decided as a system call."
    )
    var callsOnly = false
    @Flag(help: "Send alerts to the local syslog too.")
    var syslog = false
    @Option(help: ArgumentHelp("Socket of the command line tool.", valueName: "path"))
    var socket: String?
    @Option(help: ArgumentHelp("Directory of socket, lock and pid files.", valueName: "path"))
    var runDirectory: String?
    @Option(help: ArgumentHelp("Directory in which applied policies are kept.", valueName: "path"))
    var stateDirectory: String?
    @Option(help: ArgumentHelp("User id of the unprivileged front.", valueName: "uid"))
    var frontUser: UInt32?
    @Option(help: ArgumentHelp("Node name in alerts and selectors.", valueName: "name"))
    var host: String?
    @Option(
        help: ArgumentHelp("Further node label for selectors; may be given more than once.", valueName: "key=value"))
    var nodeLabel: [String] = []
    @Option(help: ArgumentHelp("Cluster name in alerts.", valueName: "name"))
    var cluster: String?
    @Option(help: ArgumentHelp("Default posture of files and programs: allow, audit or block.", valueName: "posture"))
    var filePosture: String?
    @Option(help: ArgumentHelp("Default posture of protocols and names: allow, audit or block.", valueName: "posture"))
    var networkPosture: String?
    @Option(help: ArgumentHelp("Default posture of capabilities: allow, audit or block.", valueName: "posture"))
    var capabilitiesPosture: String?
    @Option(
        help: ArgumentHelp(
            "Verdict of a failure, such as worker-lost=allow; may be given more than once.", valueName: "name=verdict"))
    var onFailure: [String] = []
    @Option(help: ArgumentHelp("Answer an event held longer than this.", valueName: "milliseconds"))
    var deadline: Int?
    @Option(
        help: ArgumentHelp(
            "What happens to processes that hold a newly protected file open: alert or kill.", valueName: "action"))
    var staleFd: String?
    @Flag(help: "Do not look for containers that run and of which no hook tells.")
    var noContainerSearch = false
    @Option(
        help: ArgumentHelp(
            "Directory in which a runtime keeps what runs, as /run/runc; may be given more than once, and has * for any directory.",
            valueName: "path"))
    var containerStates: [String] = []
    @Flag(
        help:
            "Do without nf_tables: no network policies, and rules on protocols hold in supervised trees only.")
    var noPacketFilter = false
    @Option(
        help: ArgumentHelp(
            "What happens to network rules when the agent is stopped: keep or remove.", valueName: "action"))
    var networkRulesOnStop: String?
    @Option(help: ArgumentHelp("Group of nfnetlink_log for reports of the packet filter.", valueName: "number"))
    var packetLogGroup: UInt16?
    @Option(
        help: ArgumentHelp(
            "Tell gRPC clients of the host's operations of these kinds although no rule is about them: process, file, network.",
            valueName: "kinds"))
    var hostVisibility: String?
    @Option(help: ArgumentHelp("The same of containers.", valueName: "kinds"))
    var visibility: String?
    @Option(
        help: ArgumentHelp(
            "Look at the host's opens and executions on the filesystem of this path only; may be given more than once.",
            valueName: "path"))
    var visiblePath: [String] = []
    @Flag(name: .customLong("no-grpc"), help: "No gRPC: the gateway is not started, and nothing is kept for it.")
    var noGRPC = false
    @Option(
        name: .customLong("grpc-socket"), help: ArgumentHelp("Unix socket of the gRPC services.", valueName: "path"))
    var grpcSocket: String?
    @Option(
        name: .customLong("grpc-group"),
        help: ArgumentHelp("Group whose members reach that socket; otherwise only root does.", valueName: "gid"))
    var grpcGroup: UInt32?
    @Option(
        name: .customLong("grpc-user"),
        help: ArgumentHelp("User of that group who may ask; may be given more than once.", valueName: "uid"))
    var grpcUser: [UInt32] = []
    @Option(
        name: .customLong("grpc-listen"),
        help: ArgumentHelp(
            "Offer gRPC here, by TLS 1.3 with certificates on both sides; may be given more than once.",
            valueName: "address:port"))
    var grpcListen: [String] = []
    @Option(help: ArgumentHelp("Folder with ca.crt, server.crt and server.key for that.", valueName: "path"))
    var tlsFolder: String?
    @Option(help: ArgumentHelp("User id of the gateway, which speaks gRPC.", valueName: "uid"))
    var gatewayUser: UInt32?
    @Option(help: ArgumentHelp("Most bytes of records kept for gRPC clients.", valueName: "bytes"))
    var spoolBytes: Int?
    @Flag(help: "Report every alert: no throttling.")
    var noThrottle = false
    @Flag(help: "Ask about every open anew: no ignore marks.")
    var noCache = false

    @Flag(help: "Decide reads of what file rules name, too: a descriptor that somebody else opened is no way around.")
    var accessReview = false

    /// The settings: defaults, then the configuration file, then the command line.
    func settings() throws -> AgentSettings {
        var result = AgentSettings()
        if rootless { try result.becomeRootless() }
        if callsOnly { result.usesEvents = false }
        if let config { try ConfigurationFile.read(config, into: &result) }
        result.policyPaths += policies.map(Self.absolute)
        if let alerts { result.alertsPath = alerts == "-" ? "-" : Self.absolute(alerts) }
        switch alertsKeys {
        case nil, "kubearmor": break
        case "daemon": result.daemonKeys = true
        case let other?: throw ConfigurationError(text: "--alerts-keys must be kubearmor or daemon, not '\(other)'")
        }
        result.syslog = result.syslog || syslog
        if let socket { result.socketPath = Self.absolute(socket) }
        if let runDirectory { result.runDirectory = Self.absolute(runDirectory) }
        if let stateDirectory { result.stateDirectory = Self.absolute(stateDirectory) }
        if let frontUser {
            guard frontUser != 0 else { throw ConfigurationError(text: "--front-user must not be root") }
            result.frontUser = frontUser
            result.frontGroup = frontUser
        }
        try setGateway(&result)
        if let hostVisibility {
            result.visible.host = try ConfigurationFile.visibility(hostVisibility, "--host-visibility")
        }
        if let visibility { result.visible.containers = try ConfigurationFile.visibility(visibility, "--visibility") }
        result.visible.places += visiblePath.map(Self.absolute)
        if let host { result.host = host }
        result.nodeLabels += nodeLabel
        if let cluster { result.cluster = cluster }
        if let filePosture { result.postures.file = try ConfigurationFile.posture(filePosture, "--file-posture") }
        if let networkPosture {
            result.postures.network = try ConfigurationFile.posture(networkPosture, "--network-posture")
        }
        if let capabilitiesPosture {
            result.postures.capabilities = try ConfigurationFile.posture(capabilitiesPosture, "--capabilities-posture")
        }
        for text in onFailure { try ConfigurationFile.setFailure(text, "--on-failure", &result) }
        if let deadline {
            guard (50...60_000).contains(deadline) else {
                throw ConfigurationError(text: "--deadline must be between 50 and 60000 milliseconds, not \(deadline)")
            }
            result.deadlineMilliseconds = deadline
        }
        switch staleFd {
        case nil, "alert": break
        case "kill": result.killStaleDescriptors = true
        case let other?: throw ConfigurationError(text: "--stale-fd must be alert or kill, not '\(other)'")
        }
        switch networkRulesOnStop {
        case nil: break
        case "keep": result.removesPacketRules = false
        case "remove": result.removesPacketRules = true
        case let other?:
            throw ConfigurationError(text: "--network-rules-on-stop must be keep or remove, not '\(other)'")
        }
        if noContainerSearch { result.findsContainers = false }
        result.containerStates += containerStates.map(Self.absolute)
        if noPacketFilter { result.filtersPackets = false }
        if let packetLogGroup { result.packetLogGroup = packetLogGroup }
        if noThrottle { result.alertThrottling = false }
        if noCache { result.cachesAllows = false }
        if accessReview { result.accessReview = true }
        return result
    }

    private func setGateway(_ result: inout AgentSettings) throws {
        if noGRPC { result.usesGateway = false }
        if let grpcSocket { result.gatewaySocketPath = Self.absolute(grpcSocket) }
        if let grpcGroup { result.gatewayGroup = grpcGroup }
        result.gatewayUsers += grpcUser
        result.secureListeners += grpcListen
        if let tlsFolder { result.tlsFolder = Self.absolute(tlsFolder) }
        if let gatewayUser { result.gatewayUser = gatewayUser }
        if let spoolBytes { result.spoolBytes = spoolBytes }
        try ConfigurationFile.checkGateway(result)
    }

    /// The roles run in another directory than the caller may be in.
    private static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let base = getcwd(nil, 0) else { return path }
        defer { free(base) }
        return String(cString: base) + "/" + path
    }
}
