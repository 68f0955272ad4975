import CLinux
import Glibc

/// A named thread that runs one closure, with every signal blocked: signals are read through `SignalDescriptor`.
public final class KernelThread: Sendable {
    private final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    private let handle: pthread_t

    private init(handle: pthread_t) { self.handle = handle }

    /// Starts a thread; the name is cut to 15 bytes. The result must be joined, or the thread's stack stays.
    public static func start(
        name: String, _ body: @escaping @Sendable () -> Void
    ) throws(KernelError) -> KernelThread {
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var handle = pthread_t()
        // The new thread inherits the mask: blocked before, so that no signal lands in it even at its first moment.
        let before = pc_block_all_signals()
        let result = pthread_create(
            &handle, nil,
            { context in
                guard let context else { return nil }
                let start = Unmanaged<Start>.fromOpaque(context).takeRetainedValue()
                _ = pc_set_thread_name(start.name)
                start.body()
                return nil
            }, start.toOpaque())
        _ = pc_restore_signals(before)
        guard result == 0 else {
            start.release()
            throw KernelError("pthread_create", errno: result)
        }
        return KernelThread(handle: handle)
    }

    /// Waits for its end. Call once.
    public func join() { pthread_join(handle, nil) }

    /// Lets it go: nobody waits for its end. Instead of `join`.
    public func detach() { pthread_detach(handle) }

    /// gettid(2) of the caller.
    public static var currentID: Int32 { pc_thread_id() }

    /// Names the calling thread, cut to 15 bytes.
    public static func setCurrentName(_ name: String) { _ = pc_set_thread_name(name) }

    /// sched_setaffinity(2) of a thread, 0 for the caller. CPUs 0 to 1023.
    public static func setAffinity(_ cpus: [Int], of tid: Int32 = 0) throws(KernelError) {
        var words = InlineArray<16, UInt64>(repeating: 0)
        for cpu in cpus where cpu >= 0 && cpu < 1024 { words[cpu / 64] |= 1 << UInt64(cpu % 64) }
        let result = withUnsafeBytes(of: words) { buffer -> Int32 in
            guard let base = buffer.baseAddress else { return -22 }
            return pc_set_affinity(tid, base.assumingMemoryBound(to: UInt64.self), 16)
        }
        try KernelError.check("sched_setaffinity", result)
    }

    /// The CPUs a thread may run on, 0 for the caller.
    public static func affinity(of tid: Int32 = 0) throws(KernelError) -> [Int] {
        var words = InlineArray<16, UInt64>(repeating: 0)
        let result = withUnsafeMutableBytes(of: &words) { buffer -> Int32 in
            guard let base = buffer.baseAddress else { return -22 }
            return pc_get_affinity(tid, base.assumingMemoryBound(to: UInt64.self), 16)
        }
        try KernelError.check("sched_getaffinity", result)
        return (0..<1024).filter { words[$0 / 64] >> UInt64($0 % 64) & 1 == 1 }
    }

    /// SCHED_FIFO at this priority (1 to 99; children start without it), or the normal scheduler for 0. EPERM without
    /// CAP_SYS_NICE.
    public static func setRealtimePriority(_ priority: Int32, of tid: Int32 = 0) throws(KernelError) {
        try KernelError.check("sched_setscheduler", pc_set_realtime_priority(tid, priority))
    }
}
