/// What became of the lines a sink was given: `written + lost + pending` is their number.
public struct SinkCounters: Sendable, Hashable {
    /// Lines handed over completely.
    public var written: UInt64 = 0
    /// Lines given up.
    public var lost: UInt64 = 0
    /// 1 while the end of a line could not be written yet; it goes out before the next line.
    public var pending: UInt64 = 0
    /// errno of the last failure, 0 without one.
    public var lastError: Int32 = 0

    /// Creates counters at zero.
    public init() {}
}

/// A place for finished lines. A sink may wait for a short, bounded time, never longer, and counts what it gives up.
public protocol AlertSink: Sendable {
    /// Takes one line without its final newline; the outcome shows in `counters`.
    func write(_ line: [UInt8])
    /// Tries to get rid of what `write` left behind. Returns whether nothing is left.
    @discardableResult func flush() -> Bool
    /// What became of all lines so far.
    var counters: SinkCounters { get }
}
