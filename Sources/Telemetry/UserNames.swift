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

    /// Reads /etc/passwd. No name service is asked: one could keep an alert waiting, and a static program could not load it.
    public static let fromSystem: @Sendable (UInt32) -> String = { name(of: $0, inFile: "/etc/passwd") }

    /// The name of `uid` in a file in the form of passwd(5), empty when it has none.
    static func name(of uid: UInt32, inFile path: String) -> String {
        guard let file = fopen(path, "re") else { return "" }
        defer { fclose(file) }
        var record = passwd()
        var found: UnsafeMutablePointer<passwd>?
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 65536) { buffer in
            guard let base = buffer.baseAddress else { return "" }
            while true {
                switch fgetpwent_r(file, &record, base, buffer.count, &found) {
                case 0:
                    if record.pw_uid == uid, let text = record.pw_name { return String(cString: text) }
                case ERANGE:
                    // The line is longer than any of a user; it is still to be read.
                    while case let character = getc(file), character != EOF, character != 10 {}
                default: return ""
                }
            }
        }
    }
}
