import GRPCNIOTransportHTTP2Posix
import Glibc
import LinuxKernel
import NIOCore
import NIOPosix
import NIOSSL

/// Accepts connections on a socket that is bound already: asks the kernel who is on a unix socket, and a certificate of
/// everybody else; at a place of its own, where that was configured, a token with every request instead.
package struct RPCListener: HTTP2ServerTransport.ListenerFactory {
    /// How callers are known.
    package enum Security: Sendable {
        /// A unix socket; these users may connect.
        case local(users: Set<UInt32>)
        /// TLS 1.3 with certificates on both sides; these roles are let in besides those that the credentials accept everywhere.
        case mutualTLS(TLSCredentials, admitting: Set<PeerRole> = [])
        /// TLS 1.3 with our certificate only: nobody is known before a request shows a token.
        case tokens(TLSCredentials)
    }

    /// What happened to a connection before it could ask for anything.
    package enum Event: Sendable {
        case accepted(Peer)
        case refused(address: String, reason: String)
    }

    package let eventLoopGroup: any EventLoopGroup
    private let descriptor: Int32
    private let security: Security
    private let peers: PeerRegistry
    private let connectionLimit: Int
    private let report: @Sendable (Event) -> Void
    private static let handshakeLimit = TimeAmount.seconds(10)
    /// Of connections on which nobody is known: they must not take the places of those that are.
    private static let guestLimit = 256

    /// - Parameters:
    ///   - descriptor: the listening socket, which the listener then owns.
    ///   - connectionLimit: most connections at once; further ones are closed.
    ///   - report: told of every connection.
    package init(
        descriptor: Int32, security: Security, peers: PeerRegistry, group: MultiThreadedEventLoopGroup,
        connectionLimit: Int = 1024, report: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
        self.descriptor = descriptor
        self.security = security
        self.peers = peers
        eventLoopGroup = group
        self.connectionLimit = connectionLimit
        self.report = report
    }

    package func makeListeningChannel(
        listenerConfigurator: HTTP2ServerTransport.ListenerConfigurator,
        connectionConfigurator: HTTP2ServerTransport.ConnectionConfigurator
    ) async throws -> NIOAsyncChannel<HTTP2ServerTransport.ConnectionConfigurator.ConnectionChannel, Never> {
        try await ServerBootstrap(group: eventLoopGroup)
            .serverChannelOption(.backlog, value: 128)
            .serverChannelInitializer { listenerConfigurator.configure(channel: $0) }
            .bind(NIOBSDSocket.Handle(descriptor)) { channel in
                let number = peers.number()
                return channel.eventLoop.makeCompletedFuture {
                    let numbered = try NumberedChannel(channel, number: number)
                    try admit(channel, number)
                    return numbered
                }.flatMap { numbered in
                    connectionConfigurator.configure(channel: numbered, tls: tls)
                }
            }
    }

    private var tls: HTTP2ServerTransport.ConnectionConfigurator.TLS {
        switch security {
        case .local: .none
        case .mutualTLS, .tokens: .configured(requireALPN: true)
        }
    }

    /// Finds out who is there, or closes. Runs before anything of the connection is read.
    private func admit(_ channel: any Channel, _ number: UInt64) throws {
        let peers = peers
        channel.closeFuture.whenComplete { _ in peers.remove(number) }
        guard peers.count < connectionLimit else { return refuse(channel, "\(peers.count) connections are open") }
        switch security {
        case .local(let users):
            guard let provider = channel as? any SocketOptionProvider, let peer = Self.peer(of: provider) else {
                return refuse(channel, "the kernel does not say who it is")
            }
            guard users.contains(peer.uid) else { return refuse(channel, "user \(peer.uid) may not connect") }
            let known = Peer(
                role: .local, name: "uid:\(peer.uid)", identity: nil, address: "pid \(peer.pid) uid \(peer.uid)")
            peers.add(known, as: number)
            report(.accepted(known))
        case .mutualTLS(let credentials, let roles):
            let handler = NIOSSLServerHandler(context: credentials.context)
            let report = report
            let address = Self.text(channel.remoteAddress)
            let check = PeerCheckHandler(address: address, deadline: Self.handshakeLimit) { result in
                switch result {
                case .success(let certified):
                    guard credentials.accepts(certified.identity, besides: roles) else {
                        report(.refused(address: address, reason: "\(certified.identity) is not expected here"))
                        return false
                    }
                    let known = Peer(
                        role: certified.identity.role, name: certified.identity.description,
                        identity: certified.identity, address: address, fingerprint: certified.fingerprint)
                    peers.add(known, as: number)
                    report(.accepted(known))
                    return true
                case .failure(let problem):
                    report(.refused(address: address, reason: problem.description))
                    return false
                }
            }
            try channel.pipeline.syncOperations.addHandlers([handler, check])
        case .tokens(let credentials):
            let address = Self.text(channel.remoteAddress)
            guard peers.guestCount < Self.guestLimit else {
                return refuse(channel, "\(Self.guestLimit) connections without certificates are open")
            }
            peers.add(guest: address, as: number)
            let report = report
            let handler = NIOSSLServerHandler(context: credentials.tokenContext)
            let check = PeerCheckHandler(address: address, deadline: Self.handshakeLimit, isOptional: true) { result in
                guard case .failure(let problem) = result else { return true }
                report(.refused(address: address, reason: problem.description))
                return false
            }
            try channel.pipeline.syncOperations.addHandlers([handler, check])
        }
    }

    private func refuse(_ channel: any Channel, _ reason: String) {
        report(.refused(address: Self.text(channel.remoteAddress), reason: reason))
        // Nobody knows it by now, so nothing it might ask for is answered. An error here would end the listener.
        channel.eventLoop.execute { channel.close(promise: nil) }
    }

    /// `ADDRESS:PORT`, an IPv6 address in brackets.
    private static func text(_ address: NIOCore.SocketAddress?) -> String {
        guard let address, let host = address.ipAddress, let port = address.port else { return "the unix socket" }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// `struct ucred`, as SO_PEERCRED fills it in (unix(7)).
    private struct Credentials {
        var pid: Int32 = 0
        var uid: UInt32 = .max
        var gid: UInt32 = .max
    }

    private static func peer(of provider: any SocketOptionProvider) -> UnixSocket.Peer? {
        let future: EventLoopFuture<Credentials> = provider.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
        var found: UnixSocket.Peer?
        // On the channel's own loop the option is there at once.
        future.assumeIsolated().whenSuccess { found = UnixSocket.Peer(pid: $0.pid, uid: $0.uid, gid: $0.gid) }
        return found
    }
}
