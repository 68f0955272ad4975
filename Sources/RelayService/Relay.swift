import AuditLog
import EventSpool
import Foundation
import GRPCCore
import Hummingbird
import LinuxKernel
import Logging
import NIOCore
import NIOPosix
import RPCServices
import RPCTransport
import ServiceLifecycle
import UserTokens

/// The parts of a relay, put together.
final class Relay: Sendable {
    let credentials: TLSCredentials
    let log: FanOutLog
    let book: AgentBook
    let history: History
    private let auditDirectory: Descriptor
    /// Web page, metrics and health; `nil` for none.
    let web: WebServer?
    /// In the order in which they start; they stop in the other.
    let services: [any Service]

    /// Binds and opens everything.
    init(_ configuration: RelayConfiguration, logger: Logger) throws {
        let group = MultiThreadedEventLoopGroup.singleton
        // Threads of their own for what agents send: clients that take all there is do not keep it from coming.
        let agentGroup = MultiThreadedEventLoopGroup(numberOfThreads: max(1, System.coreCount / 2))
        let credentials = try TLSCredentials(
            CredentialTexts.read(folder: configuration.tlsFolder, name: "relay"),
            accepting: [.relay, .cli, .controller, .userGateway])
        guard credentials.identity.role == .relay else {
            throw RelayConfigurationError(description: "the certificate is of \(credentials.identity), not of a relay")
        }
        let history = try History(
            path: configuration.stateDirectory + "/history.sqlite", limits: configuration.history)
        let log = FanOutLog(limit: configuration.memoryBytes, group: group)
        let book = AgentBook(positions: try history.positions())
        let audit = configuration.stateDirectory + "/audit"
        try FileManager.default.createDirectory(
            atPath: audit, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let directory = open(audit, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
        guard directory >= 0 else { throw RelayConfigurationError(description: "\(audit): cannot be opened") }
        auditDirectory = Descriptor(owning: directory)
        let trail = AuditTrail(try AuditWriter(directory: directory))
        let collected: Set<SpoolKind> = configuration.collectsLogs ? [.alert, .log, .message] : [.alert, .message]
        let pool = AgentPool(
            Self.discoveries(configuration), book: book, log: log, credentials: credentials, kinds: collected,
            freshness: configuration.freshMilliseconds, group: agentGroup, trail: trail, logger: logger)
        let writer = HistoryWriter(
            history, log: log, book: book, kinds: configuration.keepsLogs ? [.alert, .log] : [.alert], logger: logger)
        let peers = PeerRegistry()
        let limits = RequestLimits()
        let store = try configuration.oidc.map { oidc in
            try KeyStore(oidc.settings, group: group) { logger.notice("users by token", metadata: ["keys": "\($0)"]) }
        }
        let tokens = configuration.oidc.flatMap { oidc in store.map { TokenVerifier(oidc.settings, keys: $0) } }
        let takesPushes = !configuration.pushAgents.isEmpty
        let interceptor = AuthorizationInterceptor(
            peers: peers,
            table: RelayMethods.table(mayChange: configuration.mayChange, takesPushes: takesPushes), limits: limits,
            tokens: tokens, report: { trail.note($0) })
        let pushed = PushedRecords(names: configuration.pushAgents, collecting: collected, book: book, log: log)
        let threads = NIOThreadPool(numberOfThreads: 2)
        threads.start()
        let make: @Sendable () -> [any RegistrableRPCService] = {
            let services: [any RegistrableRPCService] = [
                LogService(source: log), TelemetryService(source: log), RelayControl(pool: pool, book: book),
                RelayQueries(book: book, history: history, threads: threads),
                HealthService(services: RelayMethods.services(takesPushes: takesPushes)),
            ]
            return takesPushes ? services + [PushService(records: pushed, peers: peers)] : services
        }
        let report: @Sendable (RPCListener.Event) -> Void = { event in
            trail.note(event)
            guard case .refused(let address, let reason) = event else { return }
            logger.warning("a connection is refused", metadata: ["address": "\(address)", "reason": "\(reason)"])
        }
        var services: [any Service] = [writer, pool]
        func add(_ descriptor: Int32, _ security: RPCListener.Security) {
            let listener = RPCListener(
                descriptor: descriptor, security: security, peers: peers, group: group, report: report)
            var server = RelayServer(listener: listener, services: make, interceptor: interceptor)
            // Nobody is known there between two requests.
            if case .tokens = security { server.longestIdle = .seconds(60) }
            services.append(server)
        }
        for text in configuration.listen {
            guard let place = TCPSocket.Place(text) else { continue }
            let socket = try TCPSocket.listen(place)
            let port = try TCPSocket.port(of: socket.raw)
            logger.info("gRPC by TLS", metadata: ["port": "\(port)"])
            add(
                try socket.duplicate().release(),
                .mutualTLS(credentials, admitting: takesPushes ? [.agent] : []))
        }
        for text in configuration.oidc?.listen ?? [] {
            guard let place = TCPSocket.Place(text) else { continue }
            let socket = try TCPSocket.listen(place)
            let port = try TCPSocket.port(of: socket.raw)
            logger.info("gRPC by TLS and tokens", metadata: ["port": "\(port)"])
            add(try socket.duplicate().release(), .tokens(credentials))
        }
        if !configuration.socket.isEmpty {
            let socket = try UnixSocket.listen(path: configuration.socket, mode: 0o600, replacingStale: true)
            add(try socket.duplicate().release(), .local(users: [geteuid(), 0]))
        }
        var web: WebServer?
        if let place = TCPSocket.Place(configuration.web.listen) {
            let admission = WebAdmission(credentials: credentials, report: report)
            let metrics = Metrics(
                book: book, log: log, writer: writer, limits: limits, admission: admission, credentials: credentials)
            let sessions = WebSessions()
            let control = RelayControl(pool: pool, book: book)
            let server = WebServer(place, admission: admission, group: group, logger: logger) {
                let router = Router(context: WebContext.self)
                router.add(middleware: WebGuard())
                StateRoutes(metrics: metrics, history: history, admission: admission).add(to: router)
                AssetRoutes().add(to: router)
                let routes = router.group("api").add(
                    middleware: WebAccess(sessions: sessions, admission: admission, trail: trail))
                SessionRoutes(sessions: sessions, admission: admission, tokens: tokens).add(to: routes)
                DataRoutes(book: book, control: control, history: history, threads: threads).add(to: routes)
                EventStream(log: log, sessions: sessions).add(to: routes)
                return router
            }
            services.append(server)
            web = server
        }
        if let store { services.append(TokenKeysKeeper(store: store)) }
        services.append(AuditKeeper(trail: trail))
        services.append(CredentialsKeeper(credentials: credentials, folder: configuration.tlsFolder, logger: logger))
        (self.credentials, self.log, self.book, self.history) = (credentials, log, book, history)
        (self.web, self.services) = (web, services)
    }

    private static func discoveries(_ configuration: RelayConfiguration) -> [any AgentDiscovery] {
        var discoveries: [any AgentDiscovery] = []
        if !configuration.agents.isEmpty { discoveries.append(StaticDiscovery(configuration.agents)) }
        if !configuration.agentFile.isEmpty { discoveries.append(FileDiscovery(path: configuration.agentFile)) }
        discoveries += configuration.agentHosts.map {
            DNSDiscovery(host: $0.host, port: $0.port, names: $0.names)
        }
        return discoveries
    }
}
