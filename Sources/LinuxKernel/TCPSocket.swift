import CLinux

/// TCP sockets (tcp(7)).
public enum TCPSocket {
    /// A place to listen at: a numeric address and a port.
    public struct Place: Sendable, Hashable, CustomStringConvertible {
        /// IPv4 or IPv6, without brackets.
        public var address: String
        /// 0 takes a free one.
        public var port: UInt16

        /// Reads `ADDRESS:PORT`, an IPv6 address in brackets; `nil` for anything else. The address is not looked at.
        public init?(_ text: String) {
            guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
                return nil
            }
            var address = text[..<colon]
            if address.hasPrefix("["), address.hasSuffix("]") {
                address = address.dropFirst().dropLast()
            } else if address.contains(":") {
                return nil
            }
            guard !address.isEmpty else { return nil }
            (self.address, self.port) = (String(address), port)
        }

        /// As it was written.
        public var description: String { address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)" }
    }

    /// A listening socket. EINVAL for an address that is none.
    public static func listen(_ place: Place, backlog: Int32 = 128) throws(KernelError) -> Descriptor {
        Descriptor(owning: try KernelError.check("listen", pc_tcp_listen(place.address, place.port, backlog)))
    }

    /// The port a socket is bound to.
    public static func port(of socket: Int32) throws(KernelError) -> UInt16 {
        UInt16(try KernelError.check("getsockname", pc_bound_port(socket)))
    }
}
