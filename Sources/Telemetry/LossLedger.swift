/// What became of the lines offered to one sink.
public struct SinkAccount: Sendable, Hashable {
    /// Name of the sink.
    public var name: String
    /// Lines offered to its queue.
    public var offered: UInt64
    /// Lines the sink wrote completely.
    public var sent: UInt64
    /// Lines the queue had no room for.
    public var overflowed: UInt64
    /// Lines the sink gave up, or that waited when it was stopped.
    public var failed: UInt64
    /// errno of the sink's last failure.
    public var lastError: Int32
    /// Of the lines offered, those that are no alerts.
    public var messages: UInt64

    /// Creates an account.
    public init(
        name: String, offered: UInt64, sent: UInt64, overflowed: UInt64, failed: UInt64, lastError: Int32,
        messages: UInt64 = 0
    ) {
        self.name = name
        self.offered = offered
        self.sent = sent
        self.overflowed = overflowed
        self.failed = failed
        self.lastError = lastError
        self.messages = messages
    }

    /// Lines that did not arrive.
    public var dropped: UInt64 { overflowed + failed }

    /// Lines on their way.
    public var waiting: UInt64 { offered - min(offered, sent + dropped) }
}

/// The books of telemetry: every event is either emitted or suppressed, and every line offered to a sink is sent, dropped
/// or waiting.
public struct LossLedger: Sendable, Hashable {
    /// Events that came in.
    public var generated: UInt64 = 0
    /// Operations that were told of although no rule is about them.
    public var observed: UInt64 = 0
    /// Events offered to the sinks.
    public var emitted: UInt64 = 0
    /// Events withheld by throttling.
    public var suppressed: UInt64 = 0
    /// Suppressed events that no emitted record has told of yet.
    public var untold: UInt64 = 0
    /// Records of our own (`AlertThreshold`) offered to the sinks in addition.
    public var announcements: UInt64 = 0
    /// Events that were lost before they came here, by their own account.
    public var lostBefore: UInt64 = 0
    /// One per sink, in the order of the sinks.
    public var sinks: [SinkAccount] = []

    /// Creates empty books.
    public init() {}

    /// Whether the books agree: nothing vanished without being counted.
    public var isBalanced: Bool {
        generated == emitted + suppressed
            && sinks.allSatisfy {
                $0.offered == emitted + announcements + $0.messages && $0.sent + $0.dropped <= $0.offered
            }
    }
}
