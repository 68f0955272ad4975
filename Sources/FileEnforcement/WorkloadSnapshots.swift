import PolicyEngine

/// The policies of workloads other than the host, for threads that decide. Memory of its own without ARC: built by the control
/// thread, freed explicitly.
package struct WorkloadSnapshots {
    private struct Part {
        var workload: UInt64
        var snapshot: Snapshot
    }

    private let parts: UnsafeMutablePointer<Part>
    private let count: Int

    init(_ bundle: SnapshotBundle) {
        let others = bundle.hostParts.filter { $0.workload != SnapshotBundle.host }
        count = others.count
        parts = .allocate(capacity: max(count, 1))
        for (index, part) in others.enumerated() {
            (parts + index).initialize(to: Part(workload: part.workload, snapshot: part.snapshot))
        }
    }

    /// None.
    init() {
        parts = .allocate(capacity: 1)
        count = 0
    }

    func deallocate() { parts.deallocate() }

    /// There is only the host.
    @inline(__always) var isEmpty: Bool { count == 0 }

    /// A workload's own policies; `nil` for the host and for one that is not known.
    package func snapshot(of workload: UInt64) -> Snapshot? {
        // In increasing order, as the bundle has them.
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if parts[middle].workload == workload { return parts[middle].snapshot }
            if parts[middle].workload < workload { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    /// Whether an object may be touched in every workload but one without asking for more than its name.
    func allow(_ operation: ObjectOperation, but workload: UInt64) -> Bool {
        for index in 0..<count where parts[index].workload != workload {
            let verdict = parts[index].snapshot.verdict(for: operation)
            if !verdict.missing.isEmpty || verdict.effect != .allow { return false }
        }
        return true
    }
}
