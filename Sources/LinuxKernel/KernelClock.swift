import CLinux

/// The kernel's clocks, in nanoseconds.
public enum KernelClock {
    /// CLOCK_MONOTONIC: since boot, without suspend; for deadlines.
    public static var monotonic: UInt64 { pc_monotonic_nanoseconds() }
    /// CLOCK_REALTIME: since 1970-01-01 UTC; for alerts.
    public static var wall: UInt64 { pc_wall_clock_nanoseconds() }
}
