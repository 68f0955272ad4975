/// What a ring's consumer finds next.
public enum RingItem: Sendable, Equatable {
    /// Nothing at the moment.
    case empty
    /// A record of `length` bytes was copied out.
    case record(length: Int, lane: Int)
    /// `count` records of this lane were lost here.
    case lost(count: UInt64, lane: Int)
    /// The lane held nonsense. What could be jumped over was.
    case corrupt(lane: Int)
    /// The buffer is smaller than the record.
    case tooLong(length: Int)
}

/// Totals of a consumer.
public struct RingTotals: Sendable, Equatable {
    /// Records delivered.
    public var records: UInt64
    /// Records reported as lost.
    public var lost: UInt64
    /// Times a lane held nonsense.
    public var corrupt: UInt64
}
