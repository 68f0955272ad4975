/// Why a ring operation was refused.
public enum RingError: Error, Equatable, Sendable {
    /// Lane count, lane size, region size or alignment out of range.
    case invalidLayout
    /// The region has no ring of this version in it.
    case notFormatted
    /// The region's numbers contradict each other or its size.
    case corruptLayout
    /// Every lane is claimed.
    case noFreeLane
    /// The owner to be abandoned still runs.
    case ownerAlive
    /// A buffer is smaller than a record may be.
    case bufferTooSmall
    /// Any other failure of the system, as `errno`.
    case system(Int32)
}
