import Foundation
import RPCTransport
import Testing

/// What a clock that is set does to what was begun with a token.
@Suite("How long a token lasts")
struct TokenLifetimeTests {
    private let now = Date(timeIntervalSince1970: 1_800_000_000)
    private let instant = ContinuousClock.now
    private static let hour = Duration.seconds(3600)

    @Test func itIsOverWhenItsTimeIsOver() {
        let lifetime = TokenLifetime(until: now + 3600, now: now, at: instant)
        #expect(lifetime.rest(now: now, at: instant) == Self.hour)
        #expect(lifetime.rest(now: now + 600, at: instant + .seconds(600)) == .seconds(3000))
        #expect(lifetime.rest(now: now + 3600, at: instant + Self.hour) == .zero)
        #expect(lifetime.rest(now: now + 9000, at: instant + .seconds(9000)) == .zero)
    }

    @Test(arguments: [-60.0, -86_400, -1_700_000_000]) func aClockThatIsSetBackProlongsNothing(seconds: Double) {
        let lifetime = TokenLifetime(until: now + 3600, now: now, at: instant)
        #expect(lifetime.rest(now: now + seconds, at: instant) == Self.hour)
        #expect(lifetime.rest(now: now + seconds + 3599, at: instant + .seconds(3599)) == .seconds(1))
        #expect(lifetime.rest(now: now + seconds + 3600, at: instant + Self.hour) == .zero)
    }

    @Test(arguments: [3600.0, 86_400, 1e9]) func aClockThatIsSetAheadEndsIt(seconds: Double) {
        let lifetime = TokenLifetime(until: now + 3600, now: now, at: instant)
        #expect(lifetime.rest(now: now + seconds, at: instant) == .zero)
    }

    @Test func nothingLastsForEver() async throws {
        let endless = TokenLifetime(until: Date(timeIntervalSince1970: 1e12), now: now, at: instant)
        #expect(endless.rest(now: now, at: instant) == .seconds(30 * 86_400))
        let over = TokenLifetime(until: now, now: now + 1, at: instant)
        #expect(over.rest(now: now - 9, at: instant) == .zero)
        try await over.wait()
        try await TokenLifetime(until: Date() + 0.05).wait()
    }
}
