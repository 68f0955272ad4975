import CertificateAuthority
import EventSpool
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import LinuxKernel
import NIOPosix
import RPCServices
import RPCTransport
import Synchronization
import Testing
import WireProtocol

/// An authority of a test's own.
struct TestAuthority {
    let authority: CertificateAuthority
    let certificate: String

    init(trustDomain: String = "test.example") throws {
        let made = try CertificateAuthority.make(trustDomain: trustDomain, lifetime: 3600)
        (authority, certificate) = (made.authority, made.issued.certificate)
    }

    /// Credentials of somebody of this authority.
    func texts(
        _ role: PeerRole, _ name: String, lifetime: TimeInterval = 600, now: Date = Date()
    ) throws -> CredentialTexts {
        let identity = try #require(PeerIdentity(trustDomain: authority.trustDomain, role: role, name: name))
        let issued = try authority.issue(
            CertificateAuthority.Request(identity: identity, dnsNames: ["localhost"], lifetime: lifetime), now: now)
        return CredentialTexts(
            authority: Array(certificate.utf8), certificate: Array(issued.certificate.utf8), key: Array(issued.key.utf8)
        )
    }
}

/// An agent's LogService behind TLS on loopback.
final class SecureServer: Sendable {
    let port: Int
    let credentials: TLSCredentials
    private let task: Task<Void, any Error>
    private let folder: String

    init(_ texts: CredentialTexts, accepting roles: Set<PeerRole> = [.relay, .cli]) throws {
        folder = "/tmp/portcullis-secure-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        var writer = try SpoolWriter(directory: folder)
        writer.append(.alert, LiveServer.alert("/secret"))
        writer.flush()
        credentials = try TLSCredentials(texts, accepting: roles)
        let listener = try TCPSocket.listen(try #require(TCPSocket.Place("127.0.0.1:0")))
        port = Int(try TCPSocket.port(of: listener.raw))
        let peers = PeerRegistry()
        let log = EventLog()
        let server = GRPCServer(
            transport: HTTP2ServerTransport.Custom(
                listenerFactory: RPCListener(
                    descriptor: try listener.duplicate().release(), security: .mutualTLS(credentials), peers: peers,
                    group: .singletonMultiThreadedEventLoopGroup, report: { log.add($0) })),
            services: [
                LogService(
                    source: SpoolSource(
                        descriptor: open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), wake: WakeBroadcast()))
            ],
            interceptors: [
                AuthorizationInterceptor(
                    peers: peers,
                    table: AuthorizationTable([
                        "feeder.LogService/HealthCheck": [.relay, .cli], "feeder.LogService/WatchAlerts": [.relay],
                    ]))
            ])
        self.log = log
        task = Task { try await server.serve() }
    }

    private let log: EventLog

    deinit {
        task.cancel()
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// Connections that were refused, and why.
    var refusals: [String] {
        log.all.compactMap { if case .refused(_, let reason) = $0 { reason } else { nil } }
    }

    /// Calls as somebody; the error's code, or the first alert's resource.
    func firstAlert(
        as texts: CredentialTexts, expecting: RPCConnector.Expectation = RPCConnector.Expectation(role: .agent),
        refused: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws -> String {
        let transport = try RPCConnector.secure(
            host: "127.0.0.1", port: port, credentials: try TLSCredentials(texts, accepting: [.agent, .relay]),
            expecting: expecting, refused: refused)
        return try await withGRPCClient(transport: transport) { client in
            var options = CallOptions.defaults
            options.timeout = .seconds(120)
            options.waitForReady = false
            return try await Feeder_LogService.Client(wrapping: client).watchAlerts(
                .with { ($0.filter, $0.resumeAfter) = ("all", 0) }, options: options
            ) { try await $0.messages.first { _ in true }?.resource ?? "nothing" }
        }
    }
}

/// Collects what a listener reports.
final class EventLog: Sendable {
    private let events = Mutex<[RPCListener.Event]>([])

    func add(_ event: RPCListener.Event) { events.withLock { $0.append(event) } }

    var all: [RPCListener.Event] { events.withLock { $0 } }
}
