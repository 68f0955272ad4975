import EventSpool

/// What the agent says of itself, in the shape of `feeder.Message`.
public struct AgentMessage: Sendable, Hashable {
    /// The levels of KubeArmor's log lines.
    public enum Level: String, Sendable, Hashable {
        case info = "INFO"
        case warning = "WARN"
        case error = "ERROR"
    }

    /// CLOCK_REALTIME in nanoseconds.
    public var wallClock: UInt64
    /// How bad it is.
    public var level: Level
    /// One line.
    public var text: String

    /// Creates a message.
    public init(wallClock: UInt64, level: Level, text: String) {
        self.wallClock = wallClock
        self.level = level
        self.text = text
    }

    /// `SpoolKind` as one byte, then the message.
    func encoded(of node: NodeIdentity) -> [UInt8] {
        var out = ProtobufWriter(appendingTo: [SpoolKind.message.rawValue])
        out.signed(1, Int64(wallClock / 1_000_000_000))
        var time: [UInt8] = []
        UTCTime(wallClock: wallClock).append(to: &time, separator: UInt8(ascii: "T"))
        out.data(2, time + [UInt8(ascii: "Z")])
        out.string(3, node.clusterName)
        out.string(4, node.hostName)
        out.string(6, "Message")
        out.string(7, level.rawValue)
        out.string(8, text)
        return out.bytes
    }
}
