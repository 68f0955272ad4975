import CEventRing
import Glibc

/// A validated view of a ring in mapped memory. The mapping belongs to the caller and must outlive the view, its
/// producers and its consumer.
///
/// Unchecked: the view itself never changes, and what it points to is accessed only through the C atomics.
public struct SharedRing: @unchecked Sendable {
    /// Largest record, bytes.
    public static let maximumRecord = Int(PC_RING_MAX_RECORD)
    /// Largest number of producers at a time.
    public static let maximumLanes = Int(PC_RING_MAX_LANES)

    let view: pc_ring

    /// Bytes of a region for `lanes` producers with `laneBytes` (a power of two from 16 KiB to 1 GiB) each; nil if out
    /// of range.
    public static func requiredSize(lanes: Int, laneBytes: Int) -> Int? {
        guard let lanes = UInt32(exactly: lanes), let laneBytes = UInt64(exactly: laneBytes) else { return nil }
        let size = pc_ring_size(lanes, laneBytes)
        return size == 0 ? nil : size
    }

    /// Formats a region that nobody uses yet. `base` is aligned to 128 bytes, as `mmap` gives it.
    /// - Throws: `RingError.invalidLayout`
    public init(
        formatting base: UnsafeMutableRawPointer, size: Int, lanes: Int, laneBytes: Int
    ) throws(RingError) {
        guard let lanes = UInt32(exactly: lanes), let laneBytes = UInt64(exactly: laneBytes) else {
            throw .invalidLayout
        }
        var view = pc_ring()
        guard pc_ring_init(&view, base, size, lanes, laneBytes) == 0 else { throw .invalidLayout }
        self.view = view
    }

    /// Takes part in a ring that another process formatted. Nothing in the region is trusted.
    /// - Throws: `RingError.invalidLayout`, `.notFormatted`, `.corruptLayout`
    public init(attaching base: UnsafeMutableRawPointer, size: Int) throws(RingError) {
        var view = pc_ring()
        switch pc_ring_attach(&view, base, size) {
        case 0: self.view = view
        case -EPROTO: throw .notFormatted
        case -EBADMSG: throw .corruptLayout
        default: throw .invalidLayout
        }
    }

    /// Frees the lanes of a dead process: what it completed stays readable, what it had begun is counted as lost.
    /// - Parameters:
    ///   - dead: the owner tag its producers were made with.
    ///   - own: the caller's tag; it holds the lanes meanwhile.
    ///   - pidfd: a pidfd of the dead process, which proves the death; nil if the caller has waited for it itself.
    /// - Returns: number of lanes freed.
    /// - Throws: `RingError.ownerAlive`, `.system`
    @discardableResult
    public func abandon(owner dead: UInt64, by own: UInt64, pidfd: Int32?) throws(RingError) -> Int {
        var view = view
        let result = pc_ring_abandon(&view, dead, own, pidfd ?? -1)
        if result == -EBUSY { throw .ownerAlive }
        if result < 0 { throw .system(-result) }
        return Int(result)
    }

    /// Sums over all lanes; exact only while no producer is at work.
    public var statistics: RingStatistics {
        var view = view
        var stats = pc_ring_stats()
        pc_ring_get_stats(&view, &stats)
        return RingStatistics(
            attempts: stats.attempts, commits: stats.commits, dropped: stats.dropped, lanes: Int(stats.lanes),
            claimedLanes: Int(stats.claimed))
    }
}
