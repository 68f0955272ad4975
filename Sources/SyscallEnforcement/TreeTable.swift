import Glibc
import LinuxKernel
import Synchronization

/// The listeners of all supervised trees, as the call thread polls them. Changes come from the control thread through a queue
/// that is looked at when an eventfd says so.
package final class TreeTable: Sendable {
    /// Trees at most; a further one is refused when it is started.
    package static let capacity = 1024

    /// A tree and its listener.
    package struct Tree: Sendable, Equatable {
        /// Never the same for two trees of an agent's life.
        package var number: UInt64
        /// The listener; owned by the table once it was added.
        package var listener: Int32

        /// Names a tree.
        package init(number: UInt64, listener: Int32) {
            self.number = number
            self.listener = listener
        }
    }

    private struct Queue {
        var added: [Tree] = []
        var ended: [UInt64] = []
        var count = 0
    }

    private let queue = Mutex(Queue())
    /// Wakes the call thread.
    let wake: Int32
    /// Wakes the control thread: trees have ended.
    package let ended: Int32

    /// - Throws: without eventfds.
    package init() throws(KernelError) {
        wake = try EventDescriptor.make()
        ended = try EventDescriptor.make()
    }

    /// Hands a tree to the call thread; false when there are too many, and the listener stays the caller's.
    package func add(_ tree: Tree) -> Bool {
        let isAdded = queue.withLock { queue -> Bool in
            guard queue.count < Self.capacity else { return false }
            queue.count += 1
            queue.added.append(tree)
            return true
        }
        if isAdded { EventDescriptor.signal(wake) }
        return isAdded
    }

    /// How many trees there are.
    package var count: Int { queue.withLock { $0.count } }

    /// The trees that ended since the last call.
    package func takeEnded() -> [UInt64] {
        EventDescriptor.drain(ended)
        return queue.withLock { queue in
            defer { queue.ended = [] }
            return queue.ended
        }
    }

    func takeAdded() -> [Tree] {
        queue.withLock { queue in
            defer { queue.added = [] }
            return queue.added
        }
    }

    func end(_ tree: Tree) {
        RawDescriptor.close(tree.listener)
        queue.withLock { queue in
            queue.count -= 1
            queue.ended.append(tree.number)
        }
        EventDescriptor.signal(ended)
    }
}
