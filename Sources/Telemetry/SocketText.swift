/// Words of `Resource` and `Data` for sockets.
enum SocketText {
    /// Domain, type and protocol as records carry them: three little-endian 32-bit numbers.
    struct Registers {
        let domain: Int32
        let type: Int32
        let protocolNumber: Int32

        /// `nil` for anything else than twelve bytes.
        init?(_ bytes: [UInt8]) {
            guard bytes.count == 12 else { return nil }
            func word(_ index: Int) -> Int32 {
                Int32(bitPattern: bytes[(4 * index)..<(4 * index + 4)].reversed().reduce(0) { $0 << 8 | UInt32($1) })
            }
            (domain, type, protocolNumber) = (word(0), word(1), word(2))
        }
    }

    /// `protocol=TCP type=SOCK_STREAM`, as KubeArmor's enforcer says it of a denied socket.
    static func denied(_ socket: Registers) -> String {
        let type = typeName(socket.type)
        guard let name = transport(socket) else { return "type=\(type)" }
        return "protocol=\(name) type=\(type)"
    }

    /// `domain=AF_INET type=SOCK_STREAM|SOCK_CLOEXEC protocol=TCP`, as its monitor says it of any other.
    static func seen(_ socket: Registers) -> String {
        var type = typeName(socket.type)
        if socket.type & 0o4000 != 0 { type += "|SOCK_NONBLOCK" }
        if socket.type & 0o2000000 != 0 { type += "|SOCK_CLOEXEC" }
        return "domain=\(domainName(socket.domain)) type=\(type) protocol=\(protocolName(socket.protocolNumber))"
    }

    /// The transport that type and number mean; `nil` for one without a name.
    private static func transport(_ socket: Registers) -> String? {
        switch (socket.type & 0xf, socket.protocolNumber) {
        case (1, 0), (_, 6), (1, 262), (1, 256): "TCP"
        case (2, 0), (_, 17): "UDP"
        case (5, 0), (_, 132): "SCTP"
        case (_, 1): "ICMP"
        case (_, 58): "IPv6-ICMP"
        default: nil
        }
    }

    /// linux/net.h.
    private static func typeName(_ type: Int32) -> String {
        switch type & 0xf {
        case 1: "SOCK_STREAM"
        case 2: "SOCK_DGRAM"
        case 3: "SOCK_RAW"
        case 4: "SOCK_RDM"
        case 5: "SOCK_SEQPACKET"
        case 6: "SOCK_DCCP"
        case 10: "SOCK_PACKET"
        case let other: "\(other)"
        }
    }

    /// linux/socket.h.
    private static func domainName(_ domain: Int32) -> String {
        domainNames[domain] ?? "\(domain)"
    }

    /// The IANA registry of protocol numbers, as KubeArmor shows them (0 is HOPOPT there, although it means "the usual one"
    /// in a call of socket(2)); 255, 256 and 262 are Linux's own, linux/in.h.
    private static func protocolName(_ number: Int32) -> String {
        protocolNames[number] ?? "\(number)"
    }

    private static let domainNames: [Int32: String] = [
        0: "AF_UNSPEC", 1: "AF_UNIX", 2: "AF_INET", 3: "AF_AX25", 4: "AF_IPX", 5: "AF_APPLETALK", 6: "AF_NETROM",
        7: "AF_BRIDGE", 8: "AF_ATMPVC", 9: "AF_X25", 10: "AF_INET6", 11: "AF_ROSE", 12: "AF_DECnet",
        13: "AF_NETBEUI", 14: "AF_SECURITY", 15: "AF_KEY", 16: "AF_NETLINK", 17: "AF_PACKET", 18: "AF_ASH",
        19: "AF_ECONET", 20: "AF_ATMSVC", 21: "AF_RDS", 22: "AF_SNA", 23: "AF_IRDA", 24: "AF_PPPOX",
        25: "AF_WANPIPE", 26: "AF_LLC", 27: "AF_IB", 28: "AF_MPLS", 29: "AF_CAN", 30: "AF_TIPC",
        31: "AF_BLUETOOTH", 32: "AF_IUCV", 33: "AF_RXRPC", 34: "AF_ISDN", 35: "AF_PHONET", 36: "AF_IEEE802154",
        37: "AF_CAIF", 38: "AF_ALG", 39: "AF_NFC", 40: "AF_VSOCK", 41: "AF_KCM", 42: "AF_QIPCRTR", 43: "AF_SMC",
        44: "AF_XDP",
    ]

    private static let protocolNames: [Int32: String] = [
        0: "HOPOPT", 1: "ICMP", 2: "IGMP", 4: "IPv4", 6: "TCP", 8: "EGP", 12: "PUP", 17: "UDP", 22: "XNS-IDP",
        29: "ISO-TP4", 33: "DCCP", 41: "IPv6", 46: "RSVP", 47: "GRE", 50: "ESP", 51: "AH", 58: "IPv6-ICMP",
        94: "IPIP", 98: "ENCAP", 103: "PIM", 108: "IPComp", 115: "L2TP", 132: "SCTP", 136: "UDPLite",
        137: "MPLS-in-IP", 143: "Ethernet", 255: "RAW", 256: "SMC", 262: "MPTCP",
    ]
}
