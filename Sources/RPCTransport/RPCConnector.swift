import GRPCCore
import GRPCNIOTransportHTTP2Posix
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// Makes connections to agents and relays: to a unix socket, or by TLS 1.3 to a peer whose role and name are known before.
package enum RPCConnector {
    /// Whom to expect.
    package struct Expectation: Sendable {
        /// Roles it may have.
        package var roles: Set<PeerRole>
        /// Its name; `nil` for any.
        package var name: String?
        /// Whether a peer of that role and name will do.
        fileprivate var accepts: @Sendable (PeerIdentity) -> Bool

        /// Expects a role, a name if one is given, and what else the caller looks at.
        package init(
            roles: Set<PeerRole>, name: String? = nil,
            accepting: @escaping @Sendable (PeerIdentity) -> Bool = { _ in true }
        ) {
            self.roles = roles
            self.name = name
            accepts = accepting
        }

        /// Expects one role.
        package init(
            role: PeerRole, name: String? = nil, accepting: @escaping @Sendable (PeerIdentity) -> Bool = { _ in true }
        ) {
            self.init(roles: [role], name: name, accepting: accepting)
        }

        /// For people.
        fileprivate var text: String {
            roles.map(\.rawValue).sorted().joined(separator: " or ") + (name.map { "/\($0)" } ?? "")
        }
    }

    private static let handshakeLimit = TimeAmount.seconds(10)

    /// A connection to a unix socket.
    package static func local(
        path: String, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) throws -> HTTP2ClientTransport.Posix {
        try HTTP2ClientTransport.Posix(
            target: .unixDomainSocket(path: path, authority: "localhost"), transportSecurity: .plaintext,
            config: configuration(), eventLoopGroup: group)
    }

    /// A connection by TLS, with a certificate of ours.
    package static func secure(
        host: String, port: Int, credentials: TLSCredentials, expecting: Expectation,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, window: Int = 256 << 10,
        refused: @escaping @Sendable (String) -> Void = { _ in }
    ) throws -> HTTP2ClientTransport.Posix {
        try secure(
            host: host, port: port, as: .certificate(credentials), expecting: expecting, group: group, window: window,
            refused: refused)
    }

    /// A connection by TLS.
    ///
    /// - Parameters:
    ///   - own: how we show who we are.
    ///   - expecting: who has to be there; anybody else is closed before a request is sent.
    ///   - window: bytes that may be on their way to us before we have taken them.
    ///   - refused: told why a connection was closed.
    package static func secure(
        host: String, port: Int, as own: ClientIdentity, expecting: Expectation,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, window: Int = 256 << 10,
        refused: @escaping @Sendable (String) -> Void = { _ in }
    ) throws -> HTTP2ClientTransport.Posix {
        var config = configuration()
        config.http2.targetWindowSize = window
        config.channelDebuggingCallbacks.onCreateTCPConnection = { channel in
            channel.eventLoop.makeCompletedFuture {
                let address = "\(host):\(port)"
                // No server name: addresses are no names (RFC 6066, section 3), and ours are in the certificate.
                let handler = try NIOSSLClientHandler(context: own.context, serverHostname: nil)
                let check = PeerCheckHandler(address: address, deadline: handshakeLimit) { result in
                    switch result {
                    case .success(let certified):
                        let identity = certified.identity
                        let isExpected =
                            expecting.roles.contains(identity.role)
                            && (expecting.name ?? identity.name) == identity.name
                            && own.accepts(trustDomain: identity.trustDomain) && expecting.accepts(identity)
                        if !isExpected {
                            refused("\(address) is \(identity), not \(expecting.text)")
                        }
                        return isExpected
                    case .failure(let problem):
                        refused("\(address): \(problem)")
                        return false
                    }
                }
                try channel.pipeline.syncOperations.addHandlers([handler, check], position: .first)
            }
        }
        return try HTTP2ClientTransport.Posix(
            target: .dns(host: host, port: port), transportSecurity: .customSecure, config: config,
            eventLoopGroup: group)
    }

    /// Half a second at first, half a minute at most, and never two clients at the same moment.
    private static func configuration() -> HTTP2ClientTransport.Posix.Config {
        .defaults { config in
            config.backoff = HTTP2ClientTransport.Config.Backoff(
                initial: .milliseconds(500), max: .seconds(30), multiplier: 1.6, jitter: 0.3)
            config.connection.keepalive = HTTP2ClientTransport.Config.Keepalive(
                time: .seconds(20), timeout: .seconds(10), allowWithoutCalls: false)
            config.http2.targetWindowSize = 1 << 20
        }
    }
}
