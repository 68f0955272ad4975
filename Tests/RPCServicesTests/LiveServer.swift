import EventSpool
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import LinuxKernel
import NIOPosix
import RPCServices
import RPCTransport
import Testing
import WireProtocol

/// The services of a gateway over a real unix socket, on a spool that the test writes.
final class LiveServer: Sendable {
    let folder: String
    let socket: String
    let wake = WakeBroadcast()
    let peers = PeerRegistry()
    private let server: GRPCServer<HTTP2ServerTransport.Custom<RPCListener>>
    private let task: Task<Void, any Error>

    init(
        limits: RequestLimits = RequestLimits(),
        table: AuthorizationTable = AuthorizationTable([
            "feeder.LogService/HealthCheck": [.local], "feeder.LogService/WatchAlerts": [.local],
            "feeder.LogService/WatchLogs": [.local], "feeder.LogService/WatchMessages": [.local],
            "portcullis.v1.Telemetry/Stream": [.local], "grpc.health.v1.Health/Check": [.local],
        ]),
        report: @escaping @Sendable (RequestRecord) -> Void = { _ in }
    ) throws {
        folder = "/tmp/portcullis-rpc-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder + "/spool", withIntermediateDirectories: true)
        socket = folder + "/grpc.sock"
        let listener = try UnixSocket.listen(path: socket, mode: 0o600).release()
        let spool = open(folder + "/spool", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        let source = SpoolSource(descriptor: spool, wake: wake)
        server = GRPCServer(
            transport: HTTP2ServerTransport.Custom(
                listenerFactory: RPCListener(
                    descriptor: listener, security: .local(users: [geteuid()]), peers: peers,
                    group: .singletonMultiThreadedEventLoopGroup)),
            services: [
                LogService(source: source), TelemetryService(source: source),
                HealthService(services: ["feeder.LogService"]),
            ],
            interceptors: [AuthorizationInterceptor(peers: peers, table: table, limits: limits, report: report)])
        task = Task { [server] in try await server.serve() }
    }

    deinit {
        task.cancel()
        try? FileManager.default.removeItem(atPath: folder)
    }

    func writer(_ limits: SpoolLimits = SpoolLimits()) throws -> SpoolWriter {
        try SpoolWriter(directory: folder + "/spool", limits: limits)
    }

    /// Runs a client, and ends it.
    func withClient<Result: Sendable>(
        _ body: @Sendable (GRPCClient<HTTP2ClientTransport.Posix>) async throws -> Result
    ) async throws -> Result {
        try await withGRPCClient(transport: try RPCConnector.local(path: socket), handleClient: body)
    }

    /// An alert that only has a resource.
    static func alert(_ resource: String) -> [UInt8] {
        (try? Feeder_Alert.with { $0.resource = resource }.serializedBytes()) ?? []
    }
}
