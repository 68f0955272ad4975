import FileEnforcement
import LinuxKernel
import Synchronization

/// The calls that wait for somebody else (a FIFO without a reader, a connection that is being made), and are tried again by the thread on duty: from
/// the beginning, or from where they have come to.
final class WaitingCalls: Sendable {
    /// One of them.
    struct Call: Sendable {
        /// Where its tree is; the tree stays meanwhile.
        var slot: Int
        var notification: SystemCallNotification
        /// Where the board has it.
        var held: Int
        /// What it waits for; `nil` for what nothing tells.
        var wait: SocketWait?
        /// CLOCK_MONOTONIC at which it is looked at again, whatever happens.
        var next: UInt64 = 0
        /// Nanoseconds between two looks.
        var pause: UInt64 = WaitingCalls.pause
        /// How often it was woken for nothing: then it is not any more.
        var vainWakes = 0
    }

    /// Nanoseconds between two tries of what nothing tells.
    static let pause: UInt64 = 5_000_000
    /// At most, between two looks at a call that is woken: whether its thread still waits, or a signal does.
    static let longestPause: UInt64 = 50_000_000
    /// In vain so often.
    static let vainWakeLimit = 2

    private struct Queue {
        var calls: [Call] = []
        /// Places on the board.
        var free: [Int] = Array(StatusBoard.waitingCalls)
        /// How many each tree has, by its slot.
        var taken = [UInt16](repeating: 0, count: TreeTable.capacity)
    }

    private let queue: Mutex<Queue>
    private let number = Atomic<Int>(0)

    init() {
        var queue = Queue()
        queue.calls.reserveCapacity(queue.free.count)
        self.queue = Mutex(queue)
    }

    /// How many there are. Whoever appends one and then sees another thread on duty wakes that: so the order counts.
    var count: Int { number.load(ordering: .sequentiallyConsistent) }

    /// A place on the board for one more of a tree; `nil` when it has as many as there are left for others, so that none can take them all.
    ///
    /// - Parameter slot: where the tree is.
    func reserve(for slot: Int) -> Int? {
        queue.withLock { queue in
            guard Int(queue.taken[slot]) < queue.free.count, let held = queue.free.popLast() else { return nil }
            queue.taken[slot] += 1
            return held
        }
    }

    /// Puts a call with a place on the board in line.
    func append(_ call: Call) {
        queue.withLock { $0.calls.append(call) }
        number.wrappingAdd(1, ordering: .sequentiallyConsistent)
    }

    /// Milliseconds until one is to be looked at; -1 when there are none.
    func patience(_ now: UInt64) -> Int32 {
        guard count != 0 else { return -1 }
        let next = queue.withLock { $0.calls.reduce(UInt64.max) { min($0, $1.next) } }
        return next <= now ? 0 : Int32(clamping: (min(next - now, Self.longestPause) + 999_999) / 1_000_000)
    }

    /// Takes the one out that is to be looked at; `nil` when none is yet.
    func takeDue(_ now: UInt64) -> Call? { take { $0.next <= now } }

    /// Takes the one out that has this place on the board; `nil` when another thread has.
    func take(held: Int) -> Call? { take { $0.held == held } }

    private func take(_ isMeant: (Call) -> Bool) -> Call? {
        let call = queue.withLock { queue -> Call? in
            guard let index = queue.calls.firstIndex(where: isMeant) else { return nil }
            return queue.calls.remove(at: index)
        }
        if call != nil { number.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
        return call
    }

    /// Gives a tree's place on the board back.
    func release(_ held: Int, of slot: Int) {
        queue.withLock { queue in
            queue.free.append(held)
            queue.taken[slot] -= 1
        }
    }
}
