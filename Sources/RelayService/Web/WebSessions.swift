import Foundation
import RPCTransport
import Synchronization

/// Who uses the page. A session is a random text in a cookie; of it only the hash is kept.
final class WebSessions: Sendable {
    /// A session.
    struct Session: Sendable {
        /// Who it is: a certificate's URI, or `oidc:` and a subject.
        var user: String
        /// For audit records.
        var address: String
        /// What every change has to carry besides the cookie.
        var token: String
        fileprivate var used: ContinuousClock.Instant
        fileprivate var end: ContinuousClock.Instant
        /// How long the token that was shown is valid; `nil` for a certificate.
        fileprivate var tokenLifetime: TokenLifetime?

        /// Whether it still is one.
        fileprivate func isOpen(at now: ContinuousClock.Instant) -> Bool {
            now < end && tokenLifetime.map { $0.rest() > .zero } ?? true
        }
    }

    /// What a browser is given.
    struct Issued: Sendable {
        var cookie: String
        var session: Session
    }

    private struct State {
        var sessions: [String: Session] = [:]
        var streams: [String: Int] = [:]
        var failures: [String: (count: Int, until: ContinuousClock.Instant)] = [:]
    }
    /// How long without a request, and in all.
    private static let (idle, longest) = (Duration.seconds(15 * 60), Duration.seconds(12 * 3600))
    /// Sessions at once; the one that was not used for longest goes.
    private static let limit = 1000
    /// Streams of one user.
    private static let streamLimit = 8
    /// Failed attempts of one address within a minute.
    private static let failureLimit = 20
    private static let failureSpan = Duration.seconds(60)
    private let state = Mutex(State())
    private let clock = ContinuousClock()

    /// Begins a session.
    ///
    /// - Parameter tokenEnd: when the token ends that the user showed; `nil` for a certificate.
    func begin(user: String, address: String, tokenEnd: Date? = nil) -> Issued {
        let (cookie, now) = (Self.random(), clock.now)
        let session = Session(
            user: user, address: address, token: Self.random(), used: now, end: now + Self.longest,
            tokenLifetime: tokenEnd.map { TokenLifetime(until: $0) })
        state.withLock { state in
            if state.sessions.count >= Self.limit,
                let oldest = state.sessions.min(by: { $0.value.used < $1.value.used })
            {
                state.sessions[oldest.key] = nil
            }
            state.sessions[Self.key(cookie)] = session
        }
        return Issued(cookie: cookie, session: session)
    }

    /// The session of a cookie, which is thereby used.
    func session(_ cookie: String) -> Session? {
        let (key, now) = (Self.key(cookie), clock.now)
        return state.withLock { state in
            guard var session = state.sessions[key] else { return nil }
            guard now - session.used < Self.idle, session.isOpen(at: now) else {
                state.sessions[key] = nil
                return nil
            }
            session.used = now
            state.sessions[key] = session
            return session
        }
    }

    /// Whether it still is one; a stream that is open does not use it.
    func isOpen(_ cookie: String) -> Bool {
        let now = clock.now
        return state.withLock { $0.sessions[Self.key(cookie)].map { $0.isOpen(at: now) } ?? false }
    }

    /// Ends a session.
    func end(_ cookie: String) { _ = state.withLock { $0.sessions.removeValue(forKey: Self.key(cookie)) } }

    /// One more stream of a user; false when there are too many.
    func beginStream(_ user: String) -> Bool {
        state.withLock { state in
            guard state.streams[user, default: 0] < Self.streamLimit else { return false }
            state.streams[user, default: 0] += 1
            return true
        }
    }

    /// One less.
    func endStream(_ user: String) {
        state.withLock { state in
            let left = state.streams[user, default: 1] - 1
            state.streams[user] = left > 0 ? left : nil
        }
    }

    /// Streams that are open.
    var streams: Int { state.withLock { $0.streams.values.reduce(0, +) } }

    /// Whether an address has failed too often to try again now.
    func isLockedOut(_ address: String) -> Bool {
        let now = clock.now
        return state.withLock { state in
            guard let failure = state.failures[address], failure.until > now else { return false }
            return failure.count >= Self.failureLimit
        }
    }

    /// An attempt of an address has failed.
    func noteFailure(_ address: String) {
        let now = clock.now
        state.withLock { state in
            state.failures = state.failures.filter { $0.value.until > now }
            // Whoever has so many addresses is not stopped by a list of them.
            guard state.failures.count < 10_000 else { return }
            state.failures[address, default: (0, now + Self.failureSpan)].count += 1
        }
    }

    private static func key(_ cookie: String) -> String { CertificateReading.fingerprint(Array(cookie.utf8)) }

    /// 256 bits of the kernel's.
    private static func random() -> String {
        (0..<4).map { _ in
            let digits = String(UInt64.random(in: 0...UInt64.max), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}
