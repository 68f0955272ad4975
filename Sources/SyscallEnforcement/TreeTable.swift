import Glibc
import LinuxKernel
import Synchronization

/// The listeners of all supervised trees, as the call threads wait for them. Trees are added by the control thread; one that has
/// ended is taken out by the call thread that notices, and its listener closed when no thread works on a call of it any more.
package final class TreeTable: @unchecked Sendable {
    // Unchecked: a slot of `trees` is written before its listener is waited for, and then only read until it is free again.

    /// Trees at most; a further one is refused when it is started.
    package static let capacity = 1024

    /// A tree and its listener.
    package struct Tree: Sendable, Equatable {
        /// Never the same for two trees of an agent's life.
        package var number: UInt64
        /// The listener; owned by the table once it was added.
        package var listener: Int32
        /// Its user namespace is ours, so that its capabilities mean what ours mean.
        package var honoursCapabilities: Bool
        /// Its network, IPC and cgroup namespaces are ours too, so that settings in /proc/sys are the same for both, and what belongs to the
        /// namespaces of whoever opens it.
        package var sharesNamespaces: Bool
        /// So is its UTS namespace, where the host's name is.
        package var sharesHostName: Bool
        /// The workload whose policies hold for it besides the host's; 0 for none.
        package var workload: UInt64
        /// The UTS namespace by which its processes are known; 0 for none.
        package var namespace: UInt64

        /// Its process came into a container that was there before.
        package var isEntered = false
        /// Its slot; set by the table.
        fileprivate var slot = 0

        /// Names a tree.
        package init(
            number: UInt64, listener: Int32, honoursCapabilities: Bool, sharesNamespaces: Bool, sharesHostName: Bool,
            workload: UInt64 = 0, namespace: UInt64 = 0
        ) {
            self.number = number
            self.listener = listener
            self.honoursCapabilities = honoursCapabilities
            self.sharesNamespaces = sharesNamespaces
            self.sharesHostName = sharesHostName
            self.workload = workload
            self.namespace = namespace
        }
    }

    private struct Queue {
        var free = Array((0..<TreeTable.capacity).reversed())
        var ended: [Tree] = []
    }

    /// Set in `users` when a tree has ended.
    private static let endedBit: UInt32 = 1 << 31
    private static let wakeTag = UInt64.max
    /// Set in the tags of sockets that calls wait for.
    private static let heldTag: UInt64 = 1 << 32

    private let queue = Mutex(Queue())
    private let poll: EventPoll
    /// Ends one wait.
    private let wakeUp: Int32
    /// Trees whose runtime has not executed the program yet.
    private let starting: UnsafeMutablePointer<Atomic<Bool>>
    private let trees: UnsafeMutablePointer<Tree>
    /// How many threads use a slot.
    private let users: UnsafeMutablePointer<Atomic<UInt32>>
    /// Wakes the control thread: trees have ended.
    package let ended: Int32

    /// - Throws: without descriptors.
    package init() throws(KernelError) {
        poll = try EventPoll()
        ended = try EventDescriptor.make()
        wakeUp = try EventDescriptor.make()
        let added = poll.add(wakeUp, tag: Self.wakeTag)
        guard added == 0 else { throw KernelError("epoll_ctl", errno: -added) }
        trees = .allocate(capacity: Self.capacity)
        trees.initialize(
            repeating: Tree(
                number: 0, listener: -1, honoursCapabilities: false, sharesNamespaces: false, sharesHostName: false),
            count: Self.capacity)
        users = .allocate(capacity: Self.capacity)
        starting = .allocate(capacity: Self.capacity)
        for index in 0..<Self.capacity {
            (users + index).initialize(to: Atomic(0))
            (starting + index).initialize(to: Atomic(false))
        }
    }

    /// Hands a tree to the call threads; false when there are too many, and the listener stays the caller's.
    ///
    /// - Parameter isStarting: what comes before its first execution is done by the runtime that sets it up.
    package func add(_ tree: Tree, isStarting: Bool = false) -> Bool {
        guard let slot = queue.withLock({ $0.free.popLast() }) else { return false }
        trees[slot] = tree
        trees[slot].slot = slot
        starting[slot].store(isStarting, ordering: .releasing)
        users[slot].store(0, ordering: .releasing)
        guard poll.add(tree.listener, tag: UInt64(slot)) == 0 else {
            queue.withLock { $0.free.append(slot) }
            return false
        }
        return true
    }

    /// How many trees there are.
    package var count: Int { queue.withLock { Self.capacity - $0.free.count } }

    /// The workloads of the trees there are. Slow.
    package var workloads: [UInt64] {
        let free = Set(queue.withLock { $0.free })
        return (0..<Self.capacity).filter { !free.contains($0) }.map { trees[$0].workload }.filter { $0 != 0 }
    }

    /// The trees that ended since the last call.
    package func takeEnded() -> [Tree] {
        EventDescriptor.drain(ended)
        return queue.withLock { queue in
            defer { queue.ended = [] }
            return queue.ended
        }
    }

    // MARK: - Call threads

    /// Waits for a listener with something to take, or one whose tree has ended; `nil` after the time, or `wake`.
    func wait(timeoutMilliseconds: Int32) -> EventPoll.Event? {
        guard let event = poll.wait(timeoutMilliseconds: timeoutMilliseconds) else { return nil }
        guard event.tag == Self.wakeTag else { return event }
        EventDescriptor.drain(wakeUp)
        poll.arm(wakeUp, tag: Self.wakeTag)
        return nil
    }

    /// Has an event come when something happens to a socket; its tag says which place on the board waits for it.
    ///
    /// - Returns: 0 or a negated errno.
    func watch(_ socket: Int32, held: Int, forRoom: Bool) -> Int32 {
        poll.add(socket, tag: Self.heldTag | UInt64(held), for: forRoom ? .writable : .readable)
    }

    /// Takes a socket out again.
    func unwatch(_ socket: Int32) { poll.remove(socket) }

    /// The place on the board that an event is for; `nil` for a listener's.
    static func held(_ event: EventPoll.Event) -> Int? {
        event.tag & heldTag != 0 ? Int(event.tag & ~heldTag) : nil
    }

    /// Ends the wait of the thread that waits, or the next one.
    func wake() { EventDescriptor.signal(wakeUp) }

    /// The tree in a slot, which stays until `leave`; `nil` when it has ended.
    func enter(_ slot: Int) -> Tree? {
        if users[slot].wrappingAdd(1, ordering: .acquiringAndReleasing).newValue & Self.endedBit == 0 {
            return trees[slot]
        }
        leave(slot)
        return nil
    }

    /// Whether a tree that the caller has entered is still set up by its runtime.
    func isStarting(_ tree: Tree) -> Bool { starting[tree.slot].load(ordering: .acquiring) }

    /// The tree's program begins.
    func setStarted(_ tree: Tree) { starting[tree.slot].store(false, ordering: .releasing) }

    /// Another user of a slot that the caller has entered.
    func retain(_ slot: Int) { users[slot].wrappingAdd(1, ordering: .relaxed) }

    /// Counterpart of `enter` and `retain`.
    func leave(_ slot: Int) {
        if users[slot].wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == Self.endedBit { release(slot) }
    }

    /// Lets another thread have the next call of a tree.
    func rearm(_ slot: Int, _ tree: Tree) { poll.arm(tree.listener, tag: UInt64(slot)) }

    /// The tree of a slot that the caller has entered is no more.
    func end(_ slot: Int) {
        let before = users[slot].bitwiseOr(Self.endedBit, ordering: .acquiringAndReleasing).oldValue
        if before & Self.endedBit == 0 { poll.remove(trees[slot].listener) }
    }

    private func release(_ slot: Int) {
        let tree = trees[slot]
        RawDescriptor.close(tree.listener)
        queue.withLock { queue in
            queue.ended.append(tree)
            queue.free.append(slot)
        }
        EventDescriptor.signal(ended)
    }
}
