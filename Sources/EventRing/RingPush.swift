/// What became of a written record.
public struct RingPush: Sendable, Equatable {
    /// False: there was no room, the record is counted as dropped.
    public var isWritten: Bool
    /// The consumer sleeps, and it is for this caller to write the wake-up descriptor.
    public var mustWakeConsumer: Bool

    /// Makes a value from its parts.
    public init(isWritten: Bool, mustWakeConsumer: Bool) {
        self.isWritten = isWritten
        self.mustWakeConsumer = mustWakeConsumer
    }
}
