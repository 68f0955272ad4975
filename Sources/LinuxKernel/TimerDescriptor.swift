import CLinux

/// A timerfd on CLOCK_MONOTONIC (timerfd_create(2)).
public struct TimerDescriptor: ~Copyable, Sendable {
    /// For poll(2).
    public let descriptor: Descriptor

    /// Not armed.
    ///
    /// - Parameter isBlocking: reading waits for it to expire.
    public init(isBlocking: Bool = false) throws(KernelError) {
        descriptor = Descriptor(owning: try KernelError.check("timerfd_create", pc_timerfd(isBlocking ? 0 : 1)))
    }

    /// Expires after `first` nanoseconds (at least 1) and then every `interval` nanoseconds, 0 = once.
    public borrowing func arm(first: UInt64, interval: UInt64 = 0) throws(KernelError) {
        try KernelError.check("timerfd_settime", pc_timer_set(descriptor.raw, Swift.max(1, first), interval))
    }

    /// Never expires.
    public borrowing func disarm() throws(KernelError) {
        try KernelError.check("timerfd_settime", pc_timer_set(descriptor.raw, 0, 0))
    }

    /// How often it expired since the last call; a blocking one waits for it to expire, unless a signal comes.
    public borrowing func expirations() -> UInt64 {
        var count: UInt64 = 0
        return pc_read(descriptor.raw, &count, 8) == 8 ? count : 0
    }
}
