import Synchronization

/// Our threads that make calls for others. What they open was decided on as the call that it is, so an event of theirs is answered without
/// another look.
package struct CallThreads: @unchecked Sendable {
    // Unchecked: the memory is only touched through atomics, and is there as long as the threads that use it.
    private let threads: UnsafeMutablePointer<Atomic<Int32>>
    private let count: Int

    init(count: Int) {
        self.count = count
        threads = .allocate(capacity: count)
        for index in 0..<count { (threads + index).initialize(to: Atomic(0)) }
    }

    /// The calling thread is one of them, and is until the process ends: nobody else gets its number.
    ///
    /// - Parameter id: gettid(2).
    package func add(_ index: Int, id: Int32) { (threads + index).pointee.store(id, ordering: .releasing) }

    /// - Parameter thread: as events name it where they tell threads (FAN_REPORT_TID).
    @inline(__always) func contains(_ thread: Int32) -> Bool {
        guard thread != 0 else { return false }
        for index in 0..<count where (threads + index).pointee.load(ordering: .acquiring) == thread { return true }
        return false
    }
}
