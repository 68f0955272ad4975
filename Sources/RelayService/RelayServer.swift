import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Logging
import NIOPosix
import RPCServices
import RPCTransport
import ServiceLifecycle
import UserTokens
import Synchronization

/// One gRPC server of the relay, as a service.
struct RelayServer: Service {
    let listener: RPCListener
    let services: @Sendable () -> [any RegistrableRPCService]
    let interceptor: AuthorizationInterceptor
    /// A connection without a request is closed after this; `nil` for never.
    var longestIdle: Duration?

    func run() async throws {
        var configuration = HTTP2ServerTransport.Custom<RPCListener>.Config.defaults
        configuration.connection.keepalive = HTTP2ServerTransport.Config.Keepalive(
            time: .seconds(20), timeout: .seconds(10),
            clientBehavior: HTTP2ServerTransport.Config.ClientKeepaliveBehavior(
                minPingIntervalWithoutCalls: .seconds(10), allowWithoutCalls: true))
        configuration.http2.maxConcurrentStreams = 128
        configuration.connection.maxIdleTime = longestIdle
        let server = GRPCServer(
            transport: HTTP2ServerTransport.Custom(listenerFactory: listener, config: configuration),
            services: services(),
            interceptors: [interceptor])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.serve() }
            group.addTask {
                try? await gracefulShutdown()
                server.beginGracefulShutdown()
                // Streams have no end of their own.
                try? await Task.sleep(for: .seconds(1))
            }
            try await group.next()
            group.cancelAll()
        }
    }
}

/// Looks for other keys of users' tokens.
struct TokenKeysKeeper: Service {
    let store: KeyStore

    func run() async throws { await cancelWhenGracefulShutdown { await store.run() } }
}

/// Takes up certificates that were issued again.
struct CredentialsKeeper: Service {
    let credentials: TLSCredentials
    let folder: String
    let logger: Logger
    private static let interval = Duration.seconds(30)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.interval)
                do {
                    if try credentials.reload(CredentialTexts.read(folder: folder, name: "relay")) {
                        logger.info("the certificate was replaced", metadata: ["until": "\(credentials.notAfter)"])
                    }
                } catch { logger.warning("the certificate stays as it is", metadata: ["reason": "\(error)"]) }
            }
        }
    }
}

/// Signs the audit log now and then, and at the end.
struct AuditKeeper: Service {
    let trail: AuditTrail

    func run() async throws {
        await cancelWhenGracefulShutdown { await trail.keepSigned() }
        trail.writer.sign()
    }
}
