/// What of a rule on names does not hold for packets.
public enum PacketLimit: UInt8, Sendable, Hashable, CaseIterable {
    /// Packets are held against more names already than can be.
    case tooManyNames
    /// Names below it pass, and a packet can be made to look as if it asked for one of them.
    case exceptions
    /// What an allow-list does not have is reported, not refused.
    case allowList
}
