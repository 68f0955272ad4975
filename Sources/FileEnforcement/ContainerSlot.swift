import LinuxKernel
import Synchronization

/// A container as the threads that decide see it: one piece of memory from its start to its end. Written by the control thread, read by
/// the others between `enter` and `leave` of their `StateCell`.
package struct ContainerSlot: @unchecked Sendable {
    // Unchecked: what changes is atomic; the memory is freed behind a grace period.

    /// The process of its runtime that is going to execute its program, and what that process executes until then.
    package struct Starter: Sendable, Equatable {
        package var process: Int32
        package var device: UInt64
        package var inode: UInt64

        package init(process: Int32, device: UInt64, inode: UInt64) {
            self.process = process
            self.device = device
            self.inode = inode
        }
    }

    private struct Contents: ~Copyable {
        let workload: UInt64
        let starter: Starter
        let state = Atomic<UInt>(0)
        let isSupervised: Atomic<Bool>
        let isStarting: Atomic<Bool>

        init(workload: UInt64, isSupervised: Bool, starter: Starter?) {
            self.workload = workload
            self.starter = starter ?? Starter(process: 0, device: 0, inode: 0)
            self.isSupervised = Atomic(isSupervised)
            isStarting = Atomic(starter != nil)
        }
    }

    private let contents: UnsafeMutablePointer<Contents>

    /// The number by which a table knows it.
    var word: UInt64 { UInt64(UInt(bitPattern: contents)) }

    /// - Parameter starter: `nil` when its program runs already.
    init(workload: UInt64, isSupervised: Bool, starter: Starter?) {
        contents = .allocate(capacity: 1)
        contents.initialize(to: Contents(workload: workload, isSupervised: isSupervised, starter: starter))
    }

    /// What `word` was made of.
    init?(word: UInt64) {
        guard let contents = UnsafeMutablePointer<Contents>(bitPattern: UInt(word)) else { return nil }
        self.contents = contents
    }

    func deallocate() {
        contents.deinitialize(count: 1)
        contents.deallocate()
    }

    /// The container's number as a workload.
    @inline(__always) var workload: UInt64 { contents.pointee.workload }

    /// What it is decided with; `nil` before there is something.
    @inline(__always) var state: UnsafePointer<EnforcementState>? {
        UnsafePointer(bitPattern: contents.pointee.state.load(ordering: .sequentiallyConsistent))
    }

    /// Gives it another state; the one before, which readers may still use.
    func exchange(_ new: UnsafePointer<EnforcementState>?) -> UnsafePointer<EnforcementState>? {
        UnsafePointer(
            bitPattern: contents.pointee.state.exchange(UInt(bitPattern: new), ordering: .sequentiallyConsistent))
    }

    /// Its processes run under a filter by which every open and execution is decided as a call.
    @inline(__always) var isSupervised: Bool { contents.pointee.isSupervised.load(ordering: .acquiring) }

    /// From now on its processes run under such a filter.
    func setSupervised() { contents.pointee.isSupervised.store(true, ordering: .releasing) }

    /// Whether a process is the one by which the runtime still sets the container up. Once it is not, none is any more.
    @inline(__always)
    func isStarted(by process: Int32) -> Bool {
        guard contents.pointee.isStarting.load(ordering: .acquiring), process == contents.pointee.starter.process else {
            return false
        }
        var program = ObjectStatus()
        let starter = contents.pointee.starter
        let isStarter =
            ProcFS.executableObject(of: process, into: &program) == 0 && program.device == starter.device
            && program.inode == starter.inode
        if !isStarter { contents.pointee.isStarting.store(false, ordering: .releasing) }
        return isStarter
    }
}
