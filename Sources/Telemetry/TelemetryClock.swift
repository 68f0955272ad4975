import Glibc

/// The two clocks telemetry reads, so that a test can stand in for both.
public struct TelemetryClock: Sendable {
    /// Nanoseconds that never run backwards.
    public var monotonic: @Sendable () -> UInt64
    /// Nanoseconds since 1970 UTC.
    public var wall: @Sendable () -> UInt64

    /// Creates a clock from two readings.
    public init(monotonic: @escaping @Sendable () -> UInt64, wall: @escaping @Sendable () -> UInt64) {
        self.monotonic = monotonic
        self.wall = wall
    }

    /// CLOCK_MONOTONIC and CLOCK_REALTIME, clock_gettime(2).
    public static let system = TelemetryClock(
        monotonic: { read(CLOCK_MONOTONIC) }, wall: { read(CLOCK_REALTIME) })

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        // Cannot fail: both clocks exist on every Linux and the pointer is ours.
        clock_gettime(clock, &time)
        return UInt64(max(0, time.tv_sec)) * 1_000_000_000 + UInt64(max(0, time.tv_nsec))
    }
}
