import CLinux

/// What a socket is, by the kernel's own word: not by an address that somebody uses with it.
public struct SocketKind: Equatable, Sendable {
    /// AF_*.
    public var domain: Int32
    /// SOCK_*, without flags.
    public var type: Int32
    /// IPPROTO_* or the number of the domain's own.
    public var protocolNumber: Int32

    /// Names one.
    public init(domain: Int32, type: Int32, protocolNumber: Int32) {
        self.domain = domain
        self.type = type
        self.protocolNumber = protocolNumber
    }

    /// AF_UNIX.
    public static let unixDomain: Int32 = 1
    /// AF_NETLINK.
    public static let netlinkDomain: Int32 = 16
    /// AF_SMC: TCP, where the other end has nothing better.
    public static let smcDomain: Int32 = 43

    /// AF_UNIX.
    public var isUnix: Bool { domain == Self.unixDomain }
    /// AF_INET or AF_INET6, and what has addresses of theirs.
    public var isInternet: Bool { domain == 2 || domain == 10 || domain == Self.smcDomain }
    /// It has connections: SOCK_STREAM or SOCK_SEQPACKET.
    public var hasConnections: Bool { type == 1 || type == 5 }
    /// SOCK_STREAM.
    public var isStream: Bool { type == 1 }
    /// UDP or UDP-Lite.
    public var isDatagramTransport: Bool {
        (domain == 2 || domain == 10) && type == 2 && (protocolNumber == 17 || protocolNumber == 136)
    }

    /// SO_DOMAIN, SO_TYPE and SO_PROTOCOL: 0, or a negated errno (ENOTSOCK).
    public static func read(_ socket: Int32, into kind: inout SocketKind) -> Int32 {
        var raw = pc_socket_kind()
        let result = pc_socket_kind_of(socket, &raw)
        if result == 0 {
            kind = SocketKind(domain: raw.domain, type: raw.type, protocolNumber: raw.`protocol`)
        }
        return result
    }
}
