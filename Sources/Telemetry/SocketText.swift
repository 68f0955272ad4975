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
        case (1, 0), (_, 6), (1, 262): "TCP"
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
        switch domain {
        case 0: "AF_UNSPEC"
        case 1: "AF_UNIX"
        case 2: "AF_INET"
        case 10: "AF_INET6"
        case 16: "AF_NETLINK"
        case 17: "AF_PACKET"
        case let other: "\(other)"
        }
    }

    /// linux/in.h.
    private static func protocolName(_ number: Int32) -> String {
        switch number {
        case 0: "0"
        case 1: "ICMP"
        case 6: "TCP"
        case 17: "UDP"
        case 58: "IPv6-ICMP"
        case 132: "SCTP"
        case 255: "RAW"
        case 262: "MPTCP"
        case let other: "\(other)"
        }
    }
}
