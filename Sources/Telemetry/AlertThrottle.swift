/// Withholds alerts of a workload that has too many, as KubeArmor does, with two promises it does not give: the first
/// alert of each kind is never withheld, and what was withheld is counted and told.
///
/// Invariant: the `suppressedBefore` of all decisions + what `takePending` returned + `pending` = number of decisions that
/// are not emitted.
public struct AlertThrottle: Sendable {
    /// What to do with one alert.
    public struct Decision: Sendable, Hashable {
        /// Pass the alert on.
        public var isEmitted: Bool
        /// Say that the workload is silent from now on (the `AlertThreshold` record).
        public var isAnnounced: Bool
        /// Alerts withheld since the last emitted one; goes into the emitted alert. 0 when not emitted.
        public var suppressedBefore: UInt64
    }

    private struct Window: Sendable {
        var start: UInt64
        var count: Int32 = 1
        var isSilent = false
        var pending: UInt64 = 0
    }

    /// May be changed at any time.
    public var settings: ThrottleSettings
    private var windows: BoundedLRU<ThrottleKey, Window>
    private var seen: BoundedLRU<UInt64, Void>
    /// Withheld alerts of workloads that are no longer tracked.
    private var orphaned: UInt64 = 0

    private static let second: UInt64 = 1_000_000_000

    /// Creates a throttle that has seen nothing.
    ///
    /// - Parameters:
    ///   - trackedWorkloads: workloads counted at the same time; the one quiet for longest is forgotten.
    ///   - rememberedKinds: kinds of alerts whose first one is known to have passed.
    public init(
        settings: ThrottleSettings = ThrottleSettings(), trackedWorkloads: Int = 256, rememberedKinds: Int = 4096
    ) {
        self.settings = settings
        windows = BoundedLRU(capacity: trackedWorkloads)
        seen = BoundedLRU(capacity: rememberedKinds)
    }

    /// Decides on one alert.
    ///
    /// - Parameters:
    ///   - key: the workload.
    ///   - kind: `kind(of:)` of the alert.
    ///   - now: monotonic nanoseconds.
    public mutating func admit(_ key: ThrottleKey, kind: UInt64, now: UInt64) -> Decision {
        guard settings.isEnabled else { return emit(key, isAnnounced: false) }
        let isFirst = seen.value(for: kind) == nil
        if isFirst { seen.store((), for: kind) }
        guard var window = windows.value(for: key) else {
            track(Window(start: now), key)
            return emit(key, isAnnounced: false)
        }
        let age = now > window.start ? now - window.start : 0
        let passes: Bool
        var isAnnounced = false
        if window.isSilent && age < UInt64(max(0, settings.silenceSeconds)) * Self.second {
            passes = false
        } else if age >= Self.second {
            window.start = now
            window.count = 1
            window.isSilent = false
            passes = true
        } else {
            window.count += 1
            isAnnounced = window.count > settings.maxAlertsPerSecond
            if isAnnounced {
                // The window's start stays: the silence ends `silenceSeconds` after the first alert of the burst.
                window.isSilent = true
                window.count = 0
            }
            passes = !isAnnounced
        }
        if passes || isFirst {
            track(window, key)
            return emit(key, isAnnounced: isAnnounced)
        }
        window.pending += 1
        track(window, key)
        return Decision(isEmitted: false, isAnnounced: isAnnounced, suppressedBefore: 0)
    }

    /// Alerts withheld that no emitted alert has told of.
    public var pending: UInt64 {
        var copy = self
        return copy.takePending(now: .max).reduce(0) { $0 + $1.suppressed }
    }

    /// Returns and forgets what was withheld from workloads whose silence is over at `now` (`.max`: of all). A burst at
    /// whose end nothing more happens is told of this way; workloads no longer tracked appear as the host.
    public mutating func takePending(now: UInt64) -> [(key: ThrottleKey, suppressed: UInt64)] {
        var found: [(key: ThrottleKey, suppressed: UInt64)] = []
        if orphaned > 0 { found.append((.host, orphaned)) }
        orphaned = 0
        let silence = UInt64(max(0, settings.silenceSeconds)) * Self.second
        windows.updateAll { key, window in
            guard window.pending > 0, now == .max || (now > window.start && now - window.start >= silence) else {
                return
            }
            found.append((key, window.pending))
            window.pending = 0
        }
        return found
    }

    /// A number that is equal for alerts that say the same: same policy, same executable that acted, same object, same
    /// operation and outcome. It is a hash with a key drawn when the process starts, so nobody outside can aim for a collision.
    public static func kind(of alert: Alert) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(alert.policyName)
        hasher.combine(alert.operation)
        hasher.combine(alert.action)
        // Arguments are left out: they can be varied without end.
        let isProcess = alert.operation == "Process"
        combine(isProcess ? alert.source : alert.processName, &hasher)
        combine(isProcess ? alert.processName : alert.resource, &hasher)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    private static func combine(_ bytes: [UInt8], _ hasher: inout Hasher) {
        hasher.combine(bytes.count)
        bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    }

    private mutating func track(_ window: Window, _ key: ThrottleKey) {
        if let evicted = windows.store(window, for: key) { orphaned += evicted.value.pending }
    }

    private mutating func emit(_ key: ThrottleKey, isAnnounced: Bool) -> Decision {
        var told = orphaned
        orphaned = 0
        if var window = windows.value(for: key), window.pending > 0 {
            told += window.pending
            window.pending = 0
            track(window, key)
        }
        return Decision(isEmitted: true, isAnnounced: isAnnounced, suppressedBefore: told)
    }
}
