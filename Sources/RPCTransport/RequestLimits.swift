import Synchronization

/// How many requests run at once, of everybody and of each peer.
package final class RequestLimits: Sendable {
    /// A request that was let in; `end` is called once.
    package struct Admission: Sendable {
        fileprivate let limits: RequestLimits
        fileprivate let name: String

        /// The request is over.
        package func end() { limits.leave(name) }
    }

    private struct State {
        var total = 0
        var byPeer: [String: Int] = [:]
        var refused: UInt64 = 0
    }
    private let state = Mutex(State())
    private let total: Int
    private let perPeer: Int

    /// - Parameters:
    ///   - total: of all peers together.
    ///   - perPeer: of one identity, whatever its connections.
    package init(total: Int = 1024, perPeer: Int = 64) {
        self.total = total
        self.perPeer = perPeer
    }

    /// Lets a request in, or `nil`.
    package func admit(_ peer: Peer) -> Admission? {
        state.withLock { state in
            let own = state.byPeer[peer.name, default: 0]
            guard state.total < total, own < perPeer else {
                state.refused += 1
                return nil
            }
            state.total += 1
            state.byPeer[peer.name] = own + 1
            return Admission(limits: self, name: peer.name)
        }
    }

    /// Requests that run now.
    package var running: Int { state.withLock { $0.total } }

    /// Requests that were not let in.
    package var refused: UInt64 { state.withLock { $0.refused } }

    private func leave(_ name: String) {
        state.withLock { state in
            state.total -= 1
            let left = state.byPeer[name, default: 1] - 1
            state.byPeer[name] = left > 0 ? left : nil
        }
    }
}
