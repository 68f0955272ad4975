import PolicyModel

/// Numbers of socket types and protocols (socket(2), `linux/in.h`), as rules and operations share them.
enum SocketNumbers {
    static let types: [ProtocolName: Int] = [
        .stream: 1, .dgram: 2, .raw: 3, .rdm: 4, .seqpacket: 5, .dccp: 6, .packet: 10,
    ]
    static let protocols: [ProtocolName: Int] = [.icmp: 1, .tcp: 6, .udp: 17, .icmpv6: 58, .sctp: 132]

    /// The keys under which a rule's word is stored.
    static func keys(of name: ProtocolName) -> [(SnapshotLayout.Table, Int)] {
        if name == .all { return types.values.sorted().map { (.socketType, $0) } }
        if let type = types[name] { return [(.socketType, type)] }
        if let number = protocols[name] { return [(.protocolNumber, number)] }
        return []
    }

    /// The protocol key of a socket: what (type, protocol) means as a transport.
    static func protocolKey(type: Int32, number: Int32) -> Int32 {
        switch (type, number) {
        case (1, 0), (_, 6): 6
        case (2, 0), (_, 17): 17
        case (2, 1), (3, 1): 1
        case (2, 58), (3, 58): 58
        case (1, 132), (5, 132), (5, 0): 132
        default: number
        }
    }
}
