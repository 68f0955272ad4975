import LinuxKernel
import PolicyEngine

/// What has to be known of a container to decide by the names that it sees itself. The runtime has made its mounts by the time it is
/// known, and its processes cannot change them: mount(2) and its like fail under its filter.
package struct ContainerRoot {
    /// O_PATH of its root directory; owned by whoever made this.
    package var root: Int32
    /// The mounts of its namespace.
    package var mounts: [MountEntry]

    /// Describes a container.
    package init(root: Int32, mounts: [MountEntry]) {
        self.root = root
        self.mounts = mounts
    }
}

/// For each container what a thread decides with: a state in which the container's policies are the only ones, and names and objects
/// are those of its root. Memory of its own without ARC: built by the control thread, freed explicitly.
package struct ContainerViews {
    private struct Entry {
        var workload: UInt64
        var state: UnsafeMutablePointer<EnforcementState>
    }

    private let entries: UnsafeMutablePointer<Entry>
    private let count: Int

    init(_ views: [(workload: UInt64, state: UnsafeMutablePointer<EnforcementState>)] = []) {
        count = views.count
        entries = .allocate(capacity: max(count, 1))
        for (index, view) in views.sorted(by: { $0.workload < $1.workload }).enumerated() {
            (entries + index).initialize(to: Entry(workload: view.workload, state: view.state))
        }
    }

    func deallocate() {
        for index in 0..<count {
            entries[index].state.pointee.deallocate()
            entries[index].state.deallocate()
        }
        entries.deallocate()
    }

    /// There is no container.
    @inline(__always) var isEmpty: Bool { count == 0 }

    /// What a container is decided with; `nil` for one that is not known.
    package func view(of workload: UInt64) -> UnsafePointer<EnforcementState>? {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].workload == workload { return UnsafePointer(entries[middle].state) }
            if entries[middle].workload < workload { low = middle + 1 } else { high = middle }
        }
        return nil
    }
}
