import LinuxKernel
import Synchronization

/// Which processes belong to a workload with policies of its own: all of one UTS namespace, which the workload was given when it was
/// started and cannot leave (setns, unshare and clone with namespace flags fail under its filter). Reading a thread's namespace
/// takes one statx(2).
///
/// Written by the control thread, read by those that decide, without locks.
public struct WorkloadBindings: @unchecked Sendable {
    // Unchecked: the memory is only touched through atomics, and lives as long as the process.

    /// Room for twice as many as there can be trees, so that searches stay short.
    private static let capacity = 4096
    private static let removed = UInt64.max

    /// Inode of the namespace, and the workload's number.
    private let inodes: UnsafeMutablePointer<Atomic<UInt64>>
    private let workloads: UnsafeMutablePointer<Atomic<UInt64>>

    /// None.
    public init() {
        inodes = .allocate(capacity: Self.capacity)
        workloads = .allocate(capacity: Self.capacity)
        for index in 0..<Self.capacity {
            (inodes + index).initialize(to: Atomic(0))
            (workloads + index).initialize(to: Atomic(0))
        }
    }

    /// Says that the processes of a namespace belong to a workload; false when there is no room.
    public func bind(namespace inode: UInt64, to workload: UInt64) -> Bool {
        var free: Int?
        for step in 0..<Self.capacity {
            let index = Self.index(inode, step)
            let found = inodes[index].load(ordering: .acquiring)
            if found == inode {
                workloads[index].store(workload, ordering: .releasing)
                return true
            }
            if found == 0 || found == Self.removed, free == nil { free = index }
            if found == 0 { break }
        }
        guard let free else { return false }
        workloads[free].store(workload, ordering: .releasing)
        inodes[free].store(inode, ordering: .releasing)
        return true
    }

    /// The namespace is no more.
    public func unbind(namespace inode: UInt64) {
        for step in 0..<Self.capacity {
            let index = Self.index(inode, step)
            let found = inodes[index].load(ordering: .acquiring)
            if found == 0 { return }
            if found == inode { return inodes[index].store(Self.removed, ordering: .releasing) }
        }
    }

    /// The workload of a namespace's processes; 0, the host, for one that is not bound.
    public func workload(ofNamespace inode: UInt64) -> UInt64 {
        for step in 0..<Self.capacity {
            let index = Self.index(inode, step)
            let found = inodes[index].load(ordering: .acquiring)
            if found == inode { return workloads[index].load(ordering: .acquiring) }
            if found == 0 { return 0 }
        }
        return 0
    }

    /// The workload of a thread; `nil` when its namespace cannot be read.
    @inline(__always)
    func workload(of thread: Int32) -> UInt64? {
        var namespace = ObjectStatus()
        guard ProcFS.object(of: thread, "ns/uts", into: &namespace) == 0 else { return nil }
        return workload(ofNamespace: namespace.inode)
    }

    private static func index(_ inode: UInt64, _ step: Int) -> Int {
        (Int(truncatingIfNeeded: inode &* 0x9E37_79B9_7F4A_7C15 >> 32) &+ step) & (capacity - 1)
    }
}
