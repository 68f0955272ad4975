/// Counters of a ring since it was formatted. At rest `attempts == commits + dropped`.
public struct RingStatistics: Sendable, Equatable {
    /// Records begun: committed, dropped or under way.
    public var attempts: UInt64
    /// Records published.
    public var commits: UInt64
    /// Records lost for want of room or with their producer's death.
    public var dropped: UInt64
    /// Lanes of the ring.
    public var lanes: Int
    /// Lanes that have an owner.
    public var claimedLanes: Int

    /// Makes a value from its parts.
    public init(attempts: UInt64, commits: UInt64, dropped: UInt64, lanes: Int, claimedLanes: Int) {
        self.attempts = attempts
        self.commits = commits
        self.dropped = dropped
        self.lanes = lanes
        self.claimedLanes = claimedLanes
    }
}
