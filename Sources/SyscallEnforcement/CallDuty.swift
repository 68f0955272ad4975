import LinuxKernel
import Synchronization

/// Which of the call threads takes notifications. One at a time: the thread that answered the last call has everything warm, and
/// waking another one for each call costs more than the call. Only when it is kept by a call for longer than `patience` (a network
/// filesystem, a lease) does the next one take over, and it stands in line once it is done.
final class CallDuty: @unchecked Sendable {
    // Unchecked: the pointed-to memory is atomics.

    /// Nanoseconds that the thread on duty may be busy with one call.
    static let patience: UInt64 = 2_000_000

    private let onDuty = Atomic<Int>(0)
    /// Since when each thread is busy with a call, CLOCK_MONOTONIC; 0 = it is not.
    private let busySince: UnsafeMutablePointer<Atomic<UInt64>>
    /// The timer runs, so that somebody will look at `busySince` of the thread on duty.
    private let isWatched = Atomic<Bool>(false)
    private let timer: TimerDescriptor
    /// Held by the one deputy that waits for the timer; the others wait for it.
    private let watch = Mutex<Void>(())

    /// - Throws: without descriptors.
    init(threads: Int) throws(KernelError) {
        timer = try TimerDescriptor(isBlocking: true)
        busySince = .allocate(capacity: threads)
        for index in 0..<threads { (busySince + index).initialize(to: Atomic(0)) }
    }

    /// Whether it is this thread that takes the next notification.
    func isOnDuty(_ thread: Int) -> Bool { onDuty.load(ordering: .sequentiallyConsistent) == thread }

    /// Called by a thread before it does something that can take long.
    func begin(_ thread: Int) {
        busySince[thread].store(KernelClock.monotonic, ordering: .sequentiallyConsistent)
        // Stored first: whoever clears the flag looks at the time again.
        guard !isWatched.exchange(true, ordering: .sequentiallyConsistent) else { return }
        look(after: Self.patience)
    }

    /// Called by the thread when it is done.
    func end(_ thread: Int) { busySince[thread].store(0, ordering: .releasing) }

    /// Waits until the thread on duty is kept for too long, and takes over from it.
    func awaitTurn(_ thread: Int) {
        watch.withLock { _ in
            while !takesOver(thread) { _ = timer.expirations() }
        }
    }

    private func takesOver(_ thread: Int) -> Bool {
        isWatched.store(false, ordering: .sequentiallyConsistent)
        let other = onDuty.load(ordering: .acquiring)
        let since = busySince[other].load(ordering: .sequentiallyConsistent)
        guard since != 0 else { return false }
        let elapsed = KernelClock.monotonic &- since
        if elapsed >= Self.patience {
            onDuty.store(thread, ordering: .sequentiallyConsistent)
            return true
        }
        if !isWatched.exchange(true, ordering: .sequentiallyConsistent) { look(after: Self.patience - elapsed) }
        return false
    }

    private func look(after nanoseconds: UInt64) {
        // It cannot fail with a valid time; were it to, one thread would do all calls.
        try? timer.arm(first: nanoseconds)
    }
}
