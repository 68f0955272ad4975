/// All that the table `inet portcullis` holds. Two equal rulesets do the same to every packet.
public struct Ruleset: Sendable, Hashable {
    /// The table's name.
    public static let table = "portcullis"

    /// Which end of a packet an address is.
    public enum Side: UInt8, Sendable, CaseIterable { case source, destination }

    /// Where packets meet a base chain.
    public enum Hook: UInt8, Sendable, CaseIterable { case input, forward, output }

    /// What a set's keys are.
    public enum Key: UInt8, Sendable, CaseIterable { case ipv4, ipv6, port, interface }

    /// What becomes of a packet.
    public enum Verdict: Sendable, Hashable {
        case accept, drop
        /// The rules of this chain decide.
        case goto(String)
        /// The rules of this chain decide, or else the next rule.
        case jump(String)
        /// Back to the rule after the jump.
        case leave
    }

    /// Ranges, or interface names, and for a map the verdict of each.
    public struct Set: Sendable, Hashable {
        /// Its name.
        public var name: String
        /// What its keys are.
        public var key: Key
        /// It has a verdict for each element.
        public var isMap: Bool
        /// In order and apart from each other; empty for interfaces.
        public var ranges: [Element]
        /// Interface names.
        public var interfaces: [String]
    }

    /// A range of addresses or ports.
    public struct Element: Sendable, Hashable {
        /// The first.
        public var first: UInt128
        /// The last.
        public var last: UInt128
        /// For maps.
        public var verdict: Verdict?
    }

    /// Bytes that pass in a window of time.
    public struct Quota: Sendable, Hashable {
        /// Its name; the same from one ruleset to the next as long as it means the same.
        public var name: String
        /// How many bytes.
        public var bytes: UInt64
        /// The window, seconds; 0 for one that never ends.
        public var seconds: UInt64
    }

    /// A condition.
    public enum Match: Sendable, Hashable {
        case interface(Hook, String)
        case interfaces(Hook, set: String)
        case prefix(Side, AddressPrefix)
        case addresses(Side, AddressFamily, set: String)
        /// IPPROTO_*.
        case transport(UInt8)
        case ports(first: UInt16, last: UInt16)
        case portSet(String)
        /// NF_CT_STATE_BIT mask.
        case flowState(UInt32)
        /// Types.
        case icmpv6(first: UInt8, last: UInt8)
        /// The cgroup v2 directory of a socket, so many below the root.
        case cgroup(id: UInt64, level: UInt32)
        /// The class that net_cls gives the sockets of a cgroup.
        case netClass(UInt32)
        /// The user of a socket.
        case users(first: UInt32, last: UInt32)
        /// More than its bytes went through.
        case quota(String)
        /// At most so many a second.
        case rate(perSecond: UInt64, burst: UInt32)
        /// At most 16 bytes from an offset in the transport header and what follows it; a mask of as many bytes, or none.
        case payload(offset: UInt16, mask: [UInt8], value: [UInt8])
        /// A byte there.
        case payloadByte(offset: UInt16, first: UInt8, last: UInt8)
        /// Less than that many bytes, with the network header.
        case shorter(UInt16)
    }

    /// What a rule does with what its conditions let through, if anything.
    public enum Action: Sendable, Hashable {
        case decide(Verdict)
        /// A map's value by the destination port.
        case mapPort(String)
        /// A map's value by an address.
        case mapAddress(Side, AddressFamily, String)
        /// Nothing: the next rule has its turn.
        case none
    }

    /// A rule.
    public struct Rule: Sendable, Hashable {
        /// From left to right.
        public var matches: [Match] = []
        /// Counts what matches.
        public var counts = false
        /// The text to log it with.
        public var log: String?
        /// Bytes of the packet that are logged.
        public var logBytes = Ruleset.loggedBytes
        /// What is done then.
        public var action = Action.none
    }

    /// Rules, one after the other until one decides.
    public struct Chain: Sendable, Hashable {
        /// Its name.
        public var name: String
        /// `nil` for a chain that rules go to.
        public var hook: Hook?
        /// Of chains of one hook the lower comes first.
        public var priority: Int32 = 0
        /// In order.
        public var rules: [Rule] = []
    }

    /// Group of nfnetlink_log that rules log to.
    public var logGroup: UInt16
    /// Bytes of a packet that are logged: both headers.
    public static let loggedBytes: UInt32 = 128
    /// The same of a packet that asks for a name: the longest headers, TCP's length, the longest question (RFC 1035) and some room for another.
    public static let loggedQueryBytes: UInt32 = 640
    /// In order of their names.
    public var quotas: [Quota] = []
    /// In the order they were made.
    public var sets: [Set] = []
    /// Chains without a hook may stand anywhere.
    public var chains: [Chain] = []

    /// Whether the kernel takes offsets in packets of more than 255; without them it is asked for such bytes in another way.
    var readsFar = true

    /// Nothing is to be done to any packet: there is no table.
    public var isEmpty: Bool { chains.isEmpty }

    /// Without rules.
    public init(logGroup: UInt16) { self.logGroup = logGroup }
}
