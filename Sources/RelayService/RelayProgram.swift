import ArgumentParser
import AuditLog
import ClientSupport
import EventSpool
import Foundation
import GRPCCore
import LinuxKernel
import Logging
import NIOPosix
import RPCServices
import RPCTransport
import ServiceLifecycle
import Synchronization

/// The relay: collects what agents tell, keeps it for a while, and passes it on.
public enum RelayProgram {
    /// Runs until SIGTERM or SIGINT. Returns the exit code.
    public static func run(_ arguments: [String]) async -> Int32 {
        do {
            let command = try RelayCommand.parse(arguments)
            try await serve(try command.configuration())
            return 0
        } catch let problem as RelayConfigurationError {
            StandardStreams.writeError(problem.description, program: "portcullis-relay")
            return 1
        } catch let problem as CredentialProblem {
            StandardStreams.writeError(problem.description, program: "portcullis-relay")
            return 1
        } catch let problem as AuditError {
            StandardStreams.writeError("audit log: \(problem)", program: "portcullis-relay")
            return 1
        } catch {
            let text = RelayCommand.fullMessage(for: error)
            let code = RelayCommand.exitCode(for: error)
            if code.isSuccess {
                print(text)
                return 0
            }
            StandardStreams.writeError(
                code == .validationFailure ? text : "\(error)", program: "portcullis-relay")
            return code == .validationFailure ? 2 : 1
        }
    }

    private static func serve(_ configuration: RelayConfiguration) async throws {
        signal(SIGPIPE, SIG_IGN)
        LoggingSystem.bootstrap { RelayLogHandler(label: $0) }
        let logger = Logger(label: "relay")
        try ProcFS.prepare()
        try FileManager.default.createDirectory(
            atPath: configuration.stateDirectory, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        let relay = try Relay(configuration, logger: logger)
        // Bound and opened is what is needed; from here on no program is executed, and nobody is looked into.
        try SelfFilter.install(refusal: .permissionDenied, denying: [.execution, .fanotify])
        try ProcessControl.setDumpable(false)
        logger.info("Started to relay", metadata: ["name": "\(relay.credentials.identity)"])
        var group = ServiceGroupConfiguration(
            services: relay.services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        group.maximumGracefulShutdownDuration = .seconds(5)
        try await ServiceGroup(configuration: group).run()
    }
}

struct RelayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "portcullis-relay",
        abstract: "Collects what agents tell, keeps it for a while, and passes it on to many.",
        version: "0.1.0")

    @Option(help: ArgumentHelp("Configuration file (YAML).", valueName: "file"))
    var config: String

    func configuration() throws -> RelayConfiguration { try RelayConfiguration.read(config) }
}
