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
        /// Where connections are from whose every request has to say who asks.
        var guests: [UInt64: String] = [:]
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

    func add(guest address: String, as number: UInt64) { state.withLock { $0.guests[number] = address } }

    func remove(_ number: UInt64) {
        state.withLock { state in
            state.peers[number] = nil
            state.guests[number] = nil
        }
    }

    /// Who asks; `nil` when the connection has gone or nobody knows it.
    package func peer(_ context: ServerContext) -> Peer? {
        Self.number(context).flatMap { number in state.withLock { $0.peers[number] } }
    }

    /// Where a request is from that has to say itself who asks; `nil` for connections that are known, or gone.
    func guest(_ context: ServerContext) -> String? {
        Self.number(context).flatMap { number in state.withLock { $0.guests[number] } }
    }

    private static func number(_ context: ServerContext) -> UInt64? {
        guard context.remotePeer.hasPrefix(prefix) else { return nil }
        return UInt64(context.remotePeer.dropFirst(prefix.count))
    }

    /// How many of these there are.
    var guestCount: Int { state.withLock { $0.guests.count } }

    /// How many connections there are.
    package var count: Int { state.withLock { $0.peers.count } }
}
