import Synchronization

/// Counters and heartbeat of the worker in one page of shared memory: written by
/// worker and guardian, read by all.
///
/// A plain value over memory that outlives it; copying copies the pointer. Every slot is a 64-bit atomic.
public struct StatusBoard: @unchecked Sendable {
    // Unchecked: the memory is only ever touched through atomics.
    private let slots: UnsafeMutablePointer<Atomic<UInt64>>

    /// Bytes of shared memory that a board needs.
    public static let size = 4096 + callSlots * 16 + heldSlots * 24

    /// Trees whose last notification is remembered.
    private static let callSlots = 4096
    /// First of two slots for each: tree, notification.
    private static let callBase = 512
    /// Threads that decide calls of supervised trees; each holds one, and has the place of its number on the board.
    package static let callThreads = 8
    /// Places of the calls that wait for somebody else.
    package static let waitingCalls = callThreads..<heldSlots
    /// Calls that can be held.
    package static let heldSlots = 264
    /// First of three slots for each: since when, tree, notification.
    private static let heldBase = callBase + 2 * callSlots
    /// `since` of a call that may wait as long as it likes.
    package static let withoutDeadline = UInt64.max

    /// A named slot.
    public enum Slot: Int, Sendable, CaseIterable {
        /// Increments with every batch and every idle wake-up of the permission thread.
        case heartbeat
        /// CLOCK_MONOTONIC nanoseconds since which the current event is being decided; 0 = idle.
        case busySince
        /// Event descriptor number that is being decided, valid while `busySince` is not 0.
        case busyDescriptor
        /// Generation of the snapshot in force.
        case generation
        /// Permission events read.
        case events
        /// Answered allow, nothing to report.
        case allowed
        /// Answered allow and reported.
        case audited
        /// Answered deny by a rule or posture.
        case blocked
        /// Allowed because the caller is one of the agent's own processes.
        case ownPassed
        /// Records lost because the block ring was full.
        case blockRecordsLost
        /// Records lost because the event ring was full.
        case eventRecordsLost
        /// Ignore marks set as in-kernel allow cache.
        case ignoreMarks
        /// Inode marks in force.
        case inodeMarks
        /// Directory marks in force.
        case directoryMarks
        /// Filesystem marks in force.
        case filesystemMarks
        /// Objects in the identity index.
        case indexedObjects
        /// Marks that the kernel refused.
        case markFailures
        /// Spinning reads that found an event.
        case spinHits
        /// Spinning reads that gave up.
        case spinMisses
        /// Wall-clock nanoseconds at which the snapshot in force was activated.
        case activatedAt
        /// Process id of the guardian.
        case guardianProcess
        /// Process id of the worker in force.
        case workerProcess
        /// Process id of the front.
        case frontProcess
        /// Workers started after the first.
        case workerRestarts
        /// Fronts started after the first.
        case frontRestarts
        /// Events that arrived without a worker and were decided by the next.
        case adoptedEvents
        /// Notified system calls of supervised trees.
        case calls
        /// Supervised trees that were ever started.
        case treesStarted
        /// Supervised trees that are alive.
        case supervisedTrees
        /// Workloads with policies of their own that there ever were.
        case workloads
        /// Rules of the table in nf_tables.
        case packetRules
        /// Packets that these rules logged.
        case loggedPackets
        /// Flows of which an alert told.
        case reportedFlows
        /// Containers that are alive.
        case containers
        /// Numbers that were given to generations, sets of policies and questions.
        case numbers
    }

    /// First slot of the failure counters, one for each `FailureRow`.
    private static let failureBase = 64

    /// Wraps `size` bytes of zeroed or already used shared memory.
    public init(memory: UnsafeMutableRawPointer) {
        slots = memory.bindMemory(to: Atomic<UInt64>.self, capacity: Self.size / 8)
    }

    /// Reads a slot.
    public func value(_ slot: Slot) -> UInt64 { slots[slot.rawValue].load(ordering: .acquiring) }

    /// Sets a slot.
    public func set(_ slot: Slot, _ value: UInt64) { slots[slot.rawValue].store(value, ordering: .releasing) }

    /// Adds to a slot.
    public func add(_ slot: Slot, _ amount: UInt64 = 1) {
        slots[slot.rawValue].wrappingAdd(amount, ordering: .relaxed)
    }

    /// Adds one to a slot, and returns what it is then.
    public func next(_ slot: Slot) -> UInt64 {
        slots[slot.rawValue].wrappingAdd(1, ordering: .acquiringAndReleasing).newValue
    }

    /// Remembers the notification that was last taken from a tree's listener. The kernel numbers a listener's notifications one
    /// after the other, so this tells which one a worker that died had just taken.
    package func setLastCall(_ id: UInt64, of tree: UInt64) {
        let slot = Self.callBase + 2 * Int(tree % UInt64(Self.callSlots))
        slots[slot].store(tree, ordering: .releasing)
        slots[slot + 1].store(id, ordering: .releasing)
    }

    /// The notification that was last taken from a tree's listener; `nil` for none.
    package func lastCall(of tree: UInt64) -> UInt64? {
        let slot = Self.callBase + 2 * Int(tree % UInt64(Self.callSlots))
        guard slots[slot].load(ordering: .acquiring) == tree else { return nil }
        return slots[slot + 1].load(ordering: .acquiring)
    }

    /// A notified call that the worker has taken, or is about to take.
    package struct HeldCall {
        /// CLOCK_MONOTONIC nanoseconds, or `withoutDeadline`.
        package var since: UInt64
        /// Its tree.
        package var tree: UInt64
        /// Its notification; 0 while it is being taken.
        package var call: UInt64
    }

    /// Says that a call is held.
    package func hold(_ index: Int, tree: UInt64, call: UInt64, since: UInt64) {
        let slot = Self.heldBase + 3 * index
        slots[slot + 1].store(tree, ordering: .relaxed)
        slots[slot + 2].store(call, ordering: .relaxed)
        slots[slot].store(since, ordering: .releasing)
    }

    /// Says that it was answered.
    package func letGo(_ index: Int) { slots[Self.heldBase + 3 * index].store(0, ordering: .releasing) }

    /// The call held at an index; `nil` for none.
    package func heldCall(_ index: Int) -> HeldCall? {
        let slot = Self.heldBase + 3 * index
        let since = slots[slot].load(ordering: .acquiring)
        guard since != 0 else { return nil }
        return HeldCall(
            since: since, tree: slots[slot + 1].load(ordering: .acquiring),
            call: slots[slot + 2].load(ordering: .acquiring))
    }

    /// Counts a failure.
    public func count(_ row: FailureRow) {
        slots[Self.failureBase + Int(row.rawValue)].wrappingAdd(1, ordering: .relaxed)
    }

    /// How often a failure was met.
    public func failures(_ row: FailureRow) -> UInt64 {
        slots[Self.failureBase + Int(row.rawValue)].load(ordering: .relaxed)
    }
}
