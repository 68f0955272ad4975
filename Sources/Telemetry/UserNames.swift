import Glibc
import Synchronization

/// uid → user name, remembered for ten minutes, unknown uids included.
public final class UserNames: Sendable {
    private struct Entry: Sendable {
        var name: String
        var expires: UInt64
    }

    private let lifetime: UInt64
    private let clock: TelemetryClock
    private let lookUp: @Sendable (UInt32) -> String
    private let entries: Mutex<BoundedLRU<UInt32, Entry>>

    /// Creates an empty cache.
    ///
    /// - Parameters:
    ///   - lifetime: nanoseconds an answer is used.
    ///   - capacity: number of users remembered.
    ///   - lookUp: asked when the cache has no fresh answer; an empty text means "no such user".
    public init(
        lifetime: UInt64 = 600 * 1_000_000_000, capacity: Int = 1024, clock: TelemetryClock = .system,
        lookUp: @escaping @Sendable (UInt32) -> String = UserNames.fromSystem
    ) {
        self.lifetime = lifetime
        self.clock = clock
        self.lookUp = lookUp
        entries = Mutex(BoundedLRU(capacity: capacity))
    }

    /// The name of `uid`, empty when it has none.
    public func name(of uid: UInt32) -> String {
        let now = clock.monotonic()
        if let known = entries.withLock({ $0.value(for: uid) }), now < known.expires { return known.name }
        // Outside the lock: a name service may take its time.
        let name = lookUp(uid)
        entries.withLock { _ = $0.store(Entry(name: name, expires: now &+ lifetime), for: uid) }
        return name
    }

    /// Asks getpwuid_r(3).
    public static let fromSystem: @Sendable (UInt32) -> String = { uid in
        var size = 1024
        while size <= 65536 {
            var record = passwd()
            var found: UnsafeMutablePointer<passwd>?
            var buffer = [CChar](repeating: 0, count: size)
            let name: String? = buffer.withUnsafeMutableBufferPointer { space in
                guard let base = space.baseAddress else { return "" }
                let status = getpwuid_r(uid, &record, base, space.count, &found)
                if status == ERANGE { return nil }
                guard status == 0, let text = found?.pointee.pw_name else { return "" }
                return String(cString: text)
            }
            if let name { return name }
            size *= 4
        }
        return ""
    }
}
