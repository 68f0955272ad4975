extension Snapshot {
    /// Socket types and transports that protocol rules name, for filters that ask only about those.
    public struct SocketInterest: Sendable, Equatable {
        /// SOCK_* of linux/net.h, ascending.
        public var types: [Int32] = []
        /// IPPROTO_* of linux/in.h, ascending.
        public var protocols: [Int32] = []

        /// No rule is about sockets.
        public init() {}

        /// What either names.
        public func union(_ other: SocketInterest) -> SocketInterest {
            var result = SocketInterest()
            result.types = Set(types + other.types).sorted()
            result.protocols = Set(protocols + other.protocols).sorted()
            return result
        }
    }

    /// What protocol rules name; `nil` when an allow-list is about every socket.
    public var socketInterest: SocketInterest? {
        typealias Direct = SnapshotLayout.Direct
        var interest = SocketInterest()
        guard hasRules(in: .networkProtocol) else { return interest }
        if isAllowList(.networkProtocol), posture(.networkProtocol) != .allow { return nil }
        for type in 0..<Direct.typeCount where direct.word(at: 4 * (Direct.types + type)) != SnapshotLayout.none {
            interest.types.append(Int32(type))
        }
        for number in 0..<Direct.protocolCount
        where direct.word(at: 4 * (Direct.protocols + number)) != SnapshotLayout.none {
            interest.protocols.append(Int32(number))
        }
        return interest
    }
}
