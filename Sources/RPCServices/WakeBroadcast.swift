import Synchronization

/// Lets tasks sleep until there is something new.
package final class WakeBroadcast: Sendable {
    private struct State {
        var generation: UInt64 = 0
        var waiters: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())

    /// Nothing is new yet.
    package init() {}

    /// Goes up with every signal.
    package var generation: UInt64 { state.withLock { $0.generation } }

    /// Wakes everybody.
    package func signal() {
        let waiters = state.withLock { state in
            state.generation += 1
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when there was a signal after `generation` was read. Whoever wants to give up waiting signals.
    package func wait(after generation: UInt64) async {
        await withCheckedContinuation { continuation in
            let isLate = state.withLock { state in
                if state.generation != generation { return true }
                state.waiters.append(continuation)
                return false
            }
            if isLate { continuation.resume() }
        }
    }
}
