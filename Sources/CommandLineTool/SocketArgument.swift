import ArgumentParser
import Glibc

/// A socket(2) call as `DOMAIN:TYPE[:PROTO]`: words or numbers, such as `inet:stream:tcp`, `inet6:dgram:0`, `unix:stream`.
struct SocketArgument: ExpressibleByArgument, Equatable {
    static let domains: [String: Int32] = [
        "unix": AF_UNIX, "local": AF_UNIX, "inet": AF_INET, "inet6": AF_INET6, "netlink": AF_NETLINK,
        "packet": AF_PACKET,
        "vsock": AF_VSOCK, "bluetooth": AF_BLUETOOTH, "alg": AF_ALG, "can": AF_CAN,
    ]
    /// `linux/net.h`.
    static let types: [String: Int32] = [
        "stream": 1, "dgram": 2, "raw": 3, "rdm": 4, "seqpacket": 5, "dccp": 6, "packet": 10,
    ]
    /// `linux/in.h`.
    static let protocols: [String: Int32] = [
        "any": 0, "icmp": 1, "tcp": 6, "udp": 17, "dccp": 33, "icmpv6": 58, "sctp": 132, "raw": 255,
    ]

    var domain: Int32
    /// Without flags.
    var type: Int32
    var protocolNumber: Int32

    var isInternet: Bool { domain == AF_INET || domain == AF_INET6 }

    init(domain: Int32, type: Int32, protocolNumber: Int32) {
        self.domain = domain
        self.type = type
        self.protocolNumber = protocolNumber
    }

    init?(argument: String) {
        let parts = argument.lowercased().split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 || parts.count == 3, let domain = Self.number(parts[0], "af_", Self.domains),
            let type = Self.number(parts[1], "sock_", Self.types),
            let number = Self.number(parts.count == 3 ? parts[2] : "0", "ipproto_", Self.protocols)
        else { return nil }
        self.init(domain: domain, type: type, protocolNumber: number)
    }

    private static func number(_ word: String, _ prefix: String, _ names: [String: Int32]) -> Int32? {
        if let number = Int32(word) { return number >= 0 ? number : nil }
        return names[word.hasPrefix(prefix) ? String(word.dropFirst(prefix.count)) : word]
    }
}

/// A connection as `ADDR:PORT/PROTO`, an IPv6 address in brackets: `192.0.2.1:443/tcp`, `[2001:db8::1]:53/udp`.
struct ConnectArgument: ExpressibleByArgument, Equatable {
    /// The socket that such a connection needs.
    var socket: SocketArgument

    init?(argument: String) {
        guard let slash = argument.lastIndex(of: "/"), let colon = argument[..<slash].lastIndex(of: ":"),
            let port = UInt16(argument[argument.index(after: colon)..<slash]),
            let domain = Self.domain(of: String(argument[..<colon]))
        else { return nil }
        let (type, number): (Int32, Int32)
        switch argument[argument.index(after: slash)...].lowercased() {
        case "tcp": (type, number) = (1, 6)
        case "udp": (type, number) = (2, 17)
        case "sctp": (type, number) = (1, 132)
        case "dccp": (type, number) = (6, 33)
        case "icmp": (type, number) = (2, 1)
        case "icmpv6": (type, number) = (2, 58)
        default: return nil
        }
        guard port > 0 || number == 1 || number == 58 else { return nil }
        socket = SocketArgument(domain: domain, type: type, protocolNumber: number)
    }

    private static func domain(of address: String) -> Int32? {
        var bytes = [UInt8](repeating: 0, count: 16)
        if address.hasPrefix("["), address.hasSuffix("]") {
            return inet_pton(AF_INET6, String(address.dropFirst().dropLast()), &bytes) == 1 ? AF_INET6 : nil
        }
        return inet_pton(AF_INET, address, &bytes) == 1 ? AF_INET : nil
    }
}
