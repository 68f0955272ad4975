import NIOCore
import NIOSSL
import Synchronization

/// Lets browsers in: TLS 1.3, with a certificate of the authority or without one. Who has none has to say in another way who it is.
package final class WebAdmission: Sendable {
    private struct State {
        var peers: [ObjectIdentifier: Peer] = [:]
        var connections = 0
    }
    private let credentials: TLSCredentials
    private let connectionLimit: Int
    private let report: @Sendable (RPCListener.Event) -> Void
    private let state = Mutex(State())
    private static let handshakeLimit = TimeAmount.seconds(10)

    /// - Parameters:
    ///   - connectionLimit: most connections at once; further ones are closed.
    ///   - report: told of every connection that is not let in.
    package init(
        credentials: TLSCredentials, connectionLimit: Int = 1024,
        report: @escaping @Sendable (RPCListener.Event) -> Void = { _ in }
    ) {
        self.credentials = credentials
        self.connectionLimit = connectionLimit
        self.report = report
    }

    /// Who is at the other end, by its certificate; `nil` without one.
    package func peer(_ channel: any Channel) -> Peer? {
        state.withLock { $0.peers[ObjectIdentifier(channel)] }
    }

    /// Open connections.
    package var connections: Int { state.withLock { $0.connections } }

    /// Puts TLS, and the look at the certificate, in front of everything. On the channel's event loop.
    package func admit(_ channel: any Channel) throws {
        let id = ObjectIdentifier(channel)
        let isTooMany = state.withLock { state in
            state.connections += 1
            return state.connections > connectionLimit
        }
        channel.closeFuture.whenComplete { [self] _ in
            state.withLock { state in
                state.connections -= 1
                state.peers[id] = nil
            }
        }
        let address = channel.remoteAddress?.description ?? "nowhere"
        if isTooMany {
            report(.refused(address: address, reason: "\(connectionLimit) connections are open"))
            // An error here would end the listener.
            channel.eventLoop.execute { channel.close(promise: nil) }
            return
        }
        let handler = NIOSSLServerHandler(context: credentials.webContext)
        let check = PeerCheckHandler(address: address, deadline: Self.handshakeLimit, isOptional: true) {
            [self] result in
            switch result {
            case .success(nil): return true
            case .success(let certified?):
                guard credentials.accepts(certified.identity) else {
                    report(.refused(address: address, reason: "\(certified.identity) is not expected here"))
                    return false
                }
                let peer = Peer(
                    role: certified.identity.role, name: certified.identity.description,
                    identity: certified.identity, address: address, fingerprint: certified.fingerprint)
                state.withLock { $0.peers[id] = peer }
                return true
            case .failure(let problem):
                report(.refused(address: address, reason: problem.description))
                return false
            }
        }
        try channel.pipeline.syncOperations.addHandlers([handler, check])
    }
}
