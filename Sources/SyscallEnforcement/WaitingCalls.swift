import FileEnforcement
import LinuxKernel
import Synchronization

/// The calls that wait for somebody else (a FIFO without a reader), and are tried again from the beginning by the thread on duty.
final class WaitingCalls: Sendable {
    /// One of them.
    struct Call: Sendable {
        /// Where its tree is; the tree stays meanwhile.
        var slot: Int
        var notification: SystemCallNotification
        /// Where the board has it.
        var held: Int
    }

    private struct Queue {
        var calls: [Call] = []
        var freeSlots: [Int] = Array(StatusBoard.waitingCalls)
    }

    private let queue: Mutex<Queue>
    private let number = Atomic<Int>(0)

    init() {
        var queue = Queue()
        queue.calls.reserveCapacity(queue.freeSlots.count)
        self.queue = Mutex(queue)
    }

    /// How many there are. Whoever appends one and then sees another thread on duty wakes that: so the order counts.
    var count: Int { number.load(ordering: .sequentiallyConsistent) }

    /// A place on the board for one more; `nil` when there are too many.
    func reserve() -> Int? { queue.withLock { $0.freeSlots.popLast() } }

    /// Puts a call with a place on the board in line.
    func append(_ call: Call) {
        queue.withLock { $0.calls.append(call) }
        number.wrappingAdd(1, ordering: .sequentiallyConsistent)
    }

    /// Takes the one out that waits longest.
    func takeFirst() -> Call? {
        let call = queue.withLock { $0.calls.isEmpty ? nil : $0.calls.removeFirst() }
        if call != nil { number.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
        return call
    }

    /// Gives a place on the board back.
    func release(_ held: Int) { queue.withLock { $0.freeSlots.append(held) } }
}
