import CLinux

/// Keeps the calling thread from waiting in a call without end, where neither the call nor its descriptor may be told not to wait: a
/// descriptor's O_NONBLOCK is everybody's who has it. A timer's signal ends the wait (EINTR). Belongs to the thread that made it.
public struct WaitLimit: Sendable {
    /// Microseconds after which a wait ends: time enough for what is done on this machine, and less than others may be kept waiting.
    private static let patience: UInt32 = 1000
    private let timer: Int32

    /// - Throws: without timers.
    public init() throws(KernelError) {
        var timer: Int32 = 0
        try KernelError.check("timer_create", pc_alarm_make(&timer))
        self.timer = timer
    }

    /// Calls `body`; a call in it that waits for longer gives EINTR.
    public func run(_ body: () -> Int32) -> Int32 {
        guard pc_alarm_set(timer, Self.patience) == 0 else { return -11 }
        let result = body()
        _ = pc_alarm_set(timer, 0)
        return result
    }
}
