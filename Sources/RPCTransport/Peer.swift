import GRPCCore
import Synchronization

/// Who a connection is from.
package struct Peer: Sendable, Hashable {
    /// What it may ask for is decided by this.
    package var role: PeerRole
    /// The certificate's URI, or `uid:N` of a user of this machine.
    package var name: String
    /// The certificate's identity; `nil` for a user of this machine.
    package var identity: PeerIdentity?
    /// Where it connects from.
    package var address: String
    /// SHA-256 of the certificate in hexadecimal; empty without one.
    package var fingerprint: String

    /// Creates a peer.
    package init(role: PeerRole, name: String, identity: PeerIdentity?, address: String, fingerprint: String = "") {
        self.role = role
        self.name = name
        self.identity = identity
        self.address = address
        self.fingerprint = fingerprint
    }
}

/// Who is at the other end of each connection, by the connection's number.
///
/// gRPC tells a handler no more of a connection than a text for its address, and of a unix socket not even that. So every
/// connection is given a number, which is the path of its address (`NumberedChannel`), and here is who it is.
package final class PeerRegistry: Sendable {
    private struct State {
        var peers: [UInt64: Peer] = [:]
        var last: UInt64 = 0
    }
    private let state = Mutex(State())
    private static let prefix = "unix:#"

    /// Creates an empty registry.
    package init() {}

    /// A number for a new connection.
    func number() -> UInt64 {
        state.withLock {
            $0.last += 1
            return $0.last
        }
    }

    func add(_ peer: Peer, as number: UInt64) { state.withLock { $0.peers[number] = peer } }

    func remove(_ number: UInt64) { _ = state.withLock { $0.peers.removeValue(forKey: number) } }

    /// Who asks; `nil` when the connection has gone or nobody knows it.
    package func peer(_ context: ServerContext) -> Peer? {
        guard context.remotePeer.hasPrefix(Self.prefix),
            let number = UInt64(context.remotePeer.dropFirst(Self.prefix.count))
        else { return nil }
        return state.withLock { $0.peers[number] }
    }

    /// How many connections there are.
    package var count: Int { state.withLock { $0.peers.count } }
}
