/// Configuration `alertThrottling`, `maxAlertPerSec`, `throttleSec`.
public struct ThrottleSettings: Sendable, Hashable {
    /// Whether alerts are withheld at all.
    public var isEnabled: Bool
    /// Alerts of one workload that pass in one second.
    public var maxAlertsPerSecond: Int32
    /// Seconds, counted from the first alert of the burst, that the workload's alerts are withheld.
    public var silenceSeconds: Int32

    /// Creates settings; the defaults are upstream's.
    public init(isEnabled: Bool = true, maxAlertsPerSecond: Int32 = 10, silenceSeconds: Int32 = 30) {
        self.isEnabled = isEnabled
        self.maxAlertsPerSecond = maxAlertsPerSecond
        self.silenceSeconds = silenceSeconds
    }
}
