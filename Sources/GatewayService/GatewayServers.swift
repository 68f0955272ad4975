import AuditLog
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GatewayProtocol
import NIOPosix
import RPCServices
import RPCTransport
import Synchronization

/// The gateway's servers: one for the unix socket, and one for each socket with TLS once there is a certificate. All of them
/// have the same services and stand behind the same interceptor.
final class GatewayServers: Sendable {
    private typealias Server = GRPCServer<HTTP2ServerTransport.Custom<RPCListener>>

    private let settings: GatewaySettings
    private let link: GuardianLink
    private let front: FrontLink
    private let source: SpoolSource
    private let peers = PeerRegistry()
    private let limits = RequestLimits()
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    private let servers = Mutex<[Server]>([])
    private let trail: AuditTrail

    init(_ settings: GatewaySettings, _ link: GuardianLink) throws(AuditError) {
        trail = AuditTrail(try AuditWriter(directory: GatewayDescriptor.state))
        self.settings = settings
        self.link = link
        front = FrontLink(link)
        source = SpoolSource(descriptor: GatewayDescriptor.spool, wake: link.records)
    }

    /// Serves the unix socket until told to stop.
    func serveLocal() async throws {
        try await serve(GatewayDescriptor.local, .local(users: Set(settings.users)))
    }

    /// Serves the sockets with TLS, from the first usable certificate on.
    func serveSecure() async throws {
        guard settings.secureListeners > 0 else { return }
        let identity = SecureIdentity(link)
        let credentials = try await identity.credentials()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for index in 0..<settings.secureListeners {
                tasks.addTask { [self] in
                    try await serve(GatewayDescriptor.firstSecure + Int32(index), .mutualTLS(credentials))
                }
            }
            tasks.addTask { try await identity.keepFresh(credentials) }
            try await tasks.waitForAll()
        }
    }

    /// Signs the audit log now and then.
    func keepAudit() async { await trail.keepSigned() }

    /// Takes no more requests.
    func stop() {
        trail.writer.sign()
        for server in servers.withLock({ $0 }) { server.beginGracefulShutdown() }
    }

    private func serve(_ descriptor: Int32, _ security: RPCListener.Security) async throws {
        let listener = RPCListener(
            descriptor: descriptor, security: security, peers: peers, group: group,
            connectionLimit: settings.connections
        ) { [trail] event in
            trail.note(event)
            if case .refused(let address, let reason) = event {
                GatewayProgram.report("a connection from \(address) is refused: \(reason)")
            }
        }
        let services: [any RegistrableRPCService] = [
            LogService(source: source), TelemetryService(source: source, agent: settings.host),
            PolicyService(front: front), ProbeService(front: front),
            AgentControl(front: front, agent: settings.host),
            HealthService(services: AgentMethods.services),
        ]
        let server = GRPCServer(
            transport: HTTP2ServerTransport.Custom(listenerFactory: listener, config: Self.configuration),
            services: services,
            interceptors: [
                AuthorizationInterceptor(
                    peers: peers, table: AgentMethods.table(settings), limits: limits,
                    report: { [trail] in trail.note($0) })
            ])
        servers.withLock { $0.append(server) }
        try await server.serve()
    }

    private static var configuration: HTTP2ServerTransport.Custom<RPCListener>.Config {
        var configuration = HTTP2ServerTransport.Custom<RPCListener>.Config.defaults
        configuration.connection.keepalive = HTTP2ServerTransport.Config.Keepalive(
            time: .seconds(20), timeout: .seconds(10),
            clientBehavior: HTTP2ServerTransport.Config.ClientKeepaliveBehavior(
                minPingIntervalWithoutCalls: .seconds(10), allowWithoutCalls: true))
        configuration.http2.maxConcurrentStreams = 128
        return configuration
    }
}
