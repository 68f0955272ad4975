import PolicyEngine
import PolicyModel
import Synchronization

/// Everything the permission thread decides with, as one immutable value: replaced as a whole, never changed in place.
package struct EnforcementState {
    /// The host's compiled policies, in sealed memory that outlives the state.
    package var snapshot: Snapshot
    /// Those of other workloads, in the same memory.
    package var workloads: WorkloadSnapshots
    /// What containers are decided with; the same table in every state.
    package var containers: ContainerTable
    /// Who belongs to one.
    var bindings: WorkloadBindings
    /// Host mounts by id.
    var mounts: MountNames
    /// Objects known under a rule's path.
    var index: ObjectIndex
    /// Directories that lead to what Block rules name.
    var guarded: GuardedDirectories
    /// (device, inode) → 1 for dynamic loaders, 2 for interpreters.
    var interpreters: FlatTable
    /// What each failure does.
    package var failures: FailureTable
    /// The process category is an allow-list: only then is an exec of a loader looked at more closely.
    var listsProcesses: Bool
    /// Process rules exist, so that an interpreter opening a named file counts as running it.
    var hasProcessRules: Bool
    /// Allowed objects may be cached by ignore marks.
    var cachesAllows: Bool
    /// What is told of although no rule is about it.
    package var visibility: Visibility = []

    /// Whether an operation of a category that nothing forbids is told of.
    @inline(__always)
    package func sees(_ category: Category) -> Bool {
        switch category {
        case .process: visibility.contains(.process)
        case .file: visibility.contains(.file)
        case .networkProtocol: visibility.contains(.network)
        case .dns, .capability, .syscall: false
        }
    }

    /// Gives back everything that it alone holds.
    func deallocate() {
        mounts.deallocate()
        index.deallocate()
        interpreters.deallocate()
        guarded.deallocate()
        workloads.deallocate()
    }
}

/// The pointer through which the control thread hands a new `EnforcementState` to one deciding thread.
///
/// One reader, one writer. The reader announces when it is inside; the writer swaps, then waits until the reader has been
/// outside once, and only then frees the old state (a grace period as in read-copy-update).
package struct StateCell: @unchecked Sendable {
    // Unchecked: the memory is only touched through atomics, and lives as long as the process.
    private let pointer: UnsafeMutablePointer<Atomic<UInt>>
    private let inside: UnsafeMutablePointer<Atomic<UInt64>>

    init() {
        pointer = .allocate(capacity: 1)
        pointer.initialize(to: Atomic(0))
        inside = .allocate(capacity: 1)
        inside.initialize(to: Atomic(0))
    }

    /// Reader: enters and returns the state in force, `nil` before the first one.
    @inline(__always)
    package func enter() -> UnsafePointer<EnforcementState>? {
        // Odd = inside. Sequentially consistent with the writer's swap: either the writer sees us inside, or we see its
        // new pointer.
        inside.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
        return UnsafePointer(bitPattern: pointer.pointee.load(ordering: .sequentiallyConsistent))
    }

    /// Reader: leaves; the state must not be used any more.
    @inline(__always)
    package func leave() { inside.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent) }

    /// Writer: puts a new state in force and returns the old one, which nobody uses any more.
    func exchange(_ new: UnsafePointer<EnforcementState>, pause: () -> Void) -> UnsafePointer<EnforcementState>? {
        let old = pointer.pointee.exchange(UInt(bitPattern: new), ordering: .sequentiallyConsistent)
        awaitReader(pause)
        return UnsafePointer(bitPattern: old)
    }

    /// Writer: returns when the reader has left what it was in, if it was in something. What the writer has taken away before is not used
    /// by it any more.
    func awaitReader(_ pause: () -> Void) {
        let seen = inside.pointee.load(ordering: .sequentiallyConsistent)
        guard seen & 1 == 1 else { return }
        while inside.pointee.load(ordering: .sequentiallyConsistent) == seen { pause() }
    }
}
