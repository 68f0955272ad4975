import Synchronization

/// Counters and heartbeat of the worker in one page of shared memory: written by
/// worker and guardian, read by all.
///
/// A plain value over memory that outlives it; copying copies the pointer. Every slot is a 64-bit atomic.
public struct StatusBoard: @unchecked Sendable {
    // Unchecked: the memory is only ever touched through atomics.
    private let slots: UnsafeMutablePointer<Atomic<UInt64>>

    /// Bytes of shared memory that a board needs.
    public static let size = 4096

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

    /// Counts a failure.
    public func count(_ row: FailureRow) {
        slots[Self.failureBase + Int(row.rawValue)].wrappingAdd(1, ordering: .relaxed)
    }

    /// How often a failure was met.
    public func failures(_ row: FailureRow) -> UInt64 {
        slots[Self.failureBase + Int(row.rawValue)].load(ordering: .relaxed)
    }
}
