import Foundation

/// How long what was begun with a token may go on: until the clock says that the token has ended, and in no case for longer than it was
/// valid for when it was shown. So a clock that is set back prolongs nothing, and one that is set ahead is noticed at the next look.
package struct TokenLifetime: Sendable {
    private let end: Date
    private let limit: ContinuousClock.Instant

    /// Whatever a token says, nothing that was begun by it goes on for longer (seconds).
    private static let longest: TimeInterval = 30 * 86_400
    /// What waits looks at the clock as often.
    private static let look = Duration.seconds(15)

    /// - Parameters:
    ///   - end: when the token ends.
    ///   - now: the time, and the same moment of a clock that nobody sets; for tests.
    package init(until end: Date, now: Date = Date(), at instant: ContinuousClock.Instant = .now) {
        self.end = end
        limit = instant + .seconds(min(max(0, end.timeIntervalSince(now)), Self.longest))
    }

    /// What is left of it; zero when it is over.
    package func rest(now: Date = Date(), at instant: ContinuousClock.Instant = .now) -> Duration {
        let byTheClock = Duration.seconds(min(max(0, end.timeIntervalSince(now)), Self.longest))
        return max(.zero, min(limit - instant, byTheClock))
    }

    /// Waits until it is over.
    package func wait() async throws {
        var rest = rest()
        while rest > .zero {
            try await Task.sleep(for: min(rest, Self.look))
            rest = self.rest()
        }
    }
}
