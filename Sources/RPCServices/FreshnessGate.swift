/// Keeps what goes out of a stream fresh when its reader is too slow for everything: what is too old is left out.
///
/// A reader that is late for a moment loses nothing: more bytes than a pause costs have to wait, too, and the newest of them go out
/// however old they are, so that a loss is never without a record that tells of it. What was there before the stream began is no
/// reader's fault, and goes out first.
package struct FreshnessGate: Sendable {
    /// Bytes that may wait, however old they are.
    package static let tolerance = 128 << 10
    /// A stream that has not caught up by then is too slow to do so; nanoseconds.
    package static let longestCatchUp: UInt64 = 300_000_000_000

    private let limit: UInt64
    private let end: UInt64
    private var isLive: Bool
    private var bound: UInt64 = 0

    /// - Parameters:
    ///   - limit: nanoseconds that a record may be old when it goes out.
    ///   - isLive: there is nothing to catch up with.
    ///   - now: CLOCK_REALTIME nanoseconds, as all times here.
    package init(limit: UInt64, isLive: Bool, now: UInt64) {
        self.limit = limit
        self.isLive = isLive
        end = now &+ Self.longestCatchUp
    }

    /// Nothing waits.
    package mutating func caughtUp() { (isLive, bound) = (true, 0) }

    /// Records made before the result are to be left out now; 0 for none. Once it leaves something out, a stream goes well ahead of
    /// the limit: otherwise everything would come at the limit.
    ///
    /// - Parameters:
    ///   - waiting: bytes from the record that comes next to the newest.
    ///   - oldest: when the one that comes next was made.
    package mutating func bound(waiting: Int, oldest: UInt64?, now: UInt64) -> UInt64 {
        if now > end { isLive = true }
        guard isLive, waiting > Self.tolerance else {
            bound = 0
            return 0
        }
        if let oldest, now > oldest, now - oldest > limit { bound = now - limit / 4 }
        return bound
    }
}
