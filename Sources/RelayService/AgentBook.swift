import EventSpool
import Foundation
import Synchronization

/// What is known of each agent: whether it is there, and where its records go on.
package final class AgentBook: Sendable {
    /// An agent's place in its own records.
    package struct Position: Sendable, Hashable {
        /// The agent's spool.
        package var spool: String
        /// What has to come next of each kind.
        package var next: SpoolNumbers
    }

    /// An agent, as `ListAgents` tells of it.
    package struct Entry: Sendable {
        /// By its certificate; the first name that is expected before there was one.
        package var name: String
        /// Where it is.
        package var address: String
        /// It is being read.
        package var isConnected = false
        /// Why it is not.
        package var problem = "not connected yet"
        /// Since when.
        package var since = Date()
        /// Records that came.
        package var received: UInt64 = 0
        /// Records that were gone before they came.
        package var missed: UInt64 = 0
        /// Records that came twice and were left out.
        package var repeated: UInt64 = 0
        /// Records that no client could have read.
        package var malformed: UInt64 = 0
        fileprivate var token: UInt64 = 0
    }

    private struct State {
        var entries: [AgentEndpoint: Entry] = [:]
        /// Which endpoint serves a name.
        var holders: [String: AgentEndpoint] = [:]
        var positions: [String: Position] = [:]
        var rejected: UInt64 = 0
        var tokens: UInt64 = 0
    }
    private let state = Mutex(State())

    /// - Parameter positions: where agents were left, by name.
    package init(positions: [String: Position] = [:]) { state.withLock { $0.positions = positions } }

    /// Begins to tell of an endpoint.
    ///
    /// - Returns: what ends it: a session that is late in ending takes nothing from the next one.
    func add(_ endpoint: AgentEndpoint) -> UInt64 {
        state.withLock { state in
            state.tokens += 1
            var entry = Entry(name: endpoint.names.first ?? "", address: endpoint.address)
            entry.token = state.tokens
            state.entries[endpoint] = entry
            return state.tokens
        }
    }

    func remove(_ endpoint: AgentEndpoint, _ token: UInt64) {
        state.withLock { state in
            guard let entry = state.entries[endpoint], entry.token == token else { return }
            state.entries[endpoint] = nil
            if state.holders[entry.name] == endpoint { state.holders[entry.name] = nil }
        }
    }

    /// An agent has shown its certificate. False when another endpoint serves the name already: two of one name are at least one too
    /// many.
    func connect(_ endpoint: AgentEndpoint, as name: String) -> Bool {
        state.withLock { state in
            guard state.holders[name] == nil || state.holders[name] == endpoint else {
                state.rejected += 1
                return false
            }
            state.holders[name] = endpoint
            state.entries[endpoint]?.name = name
            return true
        }
    }

    /// An agent that pushes has connected. False when its name is being read from another place.
    func connect(pushing name: String, from host: String) -> Bool {
        let endpoint = AgentEndpoint.pushing(name)
        return state.withLock { state in
            guard state.holders[name] == nil || state.holders[name] == endpoint else {
                state.rejected += 1
                return false
            }
            state.holders[name] = endpoint
            // Its counters go on from the connection before.
            var entry = state.entries[endpoint] ?? Entry(name: name, address: "")
            entry.address = "pushes from \(host)"
            if !entry.isConnected { entry.since = Date() }
            (entry.isConnected, entry.problem) = (true, "")
            state.entries[endpoint] = entry
            return true
        }
    }

    /// Tells no more of an agent that pushed. What is read of the same name from another place stays.
    func forget(pushing name: String) {
        let endpoint = AgentEndpoint.pushing(name)
        state.withLock { state in
            state.entries[endpoint] = nil
            if state.holders[name] == endpoint { state.holders[name] = nil }
            if state.holders[name] == nil { state.positions[name] = nil }
        }
    }

    func setConnected(_ endpoint: AgentEndpoint) {
        state.withLock { state in
            state.entries[endpoint]?.isConnected = true
            state.entries[endpoint]?.problem = ""
            state.entries[endpoint]?.since = Date()
        }
    }

    func setProblem(_ endpoint: AgentEndpoint, _ problem: String) {
        state.withLock { state in
            guard let entry = state.entries[endpoint] else { return }
            if state.holders[entry.name] == endpoint { state.holders[entry.name] = nil }
            if entry.isConnected { state.entries[endpoint]?.since = Date() }
            state.entries[endpoint]?.isConnected = false
            state.entries[endpoint]?.problem = problem
        }
    }

    /// Counts a peer that was not who it had to be.
    func countRejection() { state.withLock { $0.rejected += 1 } }

    /// Peers that were not who they had to be.
    package var rejected: UInt64 { state.withLock { $0.rejected } }

    func position(_ name: String) -> Position? { state.withLock { $0.positions[name] } }

    /// Books what came of an agent, and where it goes on.
    func note(
        _ endpoint: AgentEndpoint, _ name: String, _ position: Position, received: UInt64, missed: UInt64,
        repeated: UInt64,
        malformed: UInt64
    ) {
        state.withLock { state in
            state.positions[name] = position
            state.entries[endpoint]?.received += received
            state.entries[endpoint]?.missed += missed
            state.entries[endpoint]?.repeated += repeated
            state.entries[endpoint]?.malformed += malformed
        }
    }

    /// All agents, by name.
    package var all: [Entry] {
        state.withLock { $0.entries.values.sorted { ($0.name, $0.address) < ($1.name, $1.address) } }
    }

    /// Where the connected agents of these names are; all when there is no name.
    func endpoints(_ names: [String]) -> [(name: String, endpoint: AgentEndpoint)] {
        state.withLock { state in
            state.holders.filter { names.isEmpty || names.contains($0.key) }.map { ($0.key, $0.value) }
                .sorted { $0.name < $1.name }
        }
    }
}
