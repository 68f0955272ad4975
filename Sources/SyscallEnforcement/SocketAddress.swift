import Glibc
import LinuxKernel

/// Addresses of sockets as bytes of somebody else's: what is asked of them is what the kernel looks at.
enum SocketAddress {
    /// Where resolvers are asked (RFC 1035, 4.2).
    static let resolverPort: UInt16 = 53
    private static let portOffset = 2

    /// The port of an internet address, whatever family it says it is of: there are sockets that take one for the other. `nil` for one that
    /// is too short, and for one that disconnects (AF_UNSPEC).
    static func port(of address: UnsafeRawBufferPointer) -> UInt16? {
        guard address.count >= portOffset + 2, !isUnspecified(address) else { return nil }
        return UInt16(bigEndian: address.loadUnaligned(fromByteOffset: portOffset, as: UInt16.self))
    }

    /// The same for where a datagram is sent: UDP takes AF_UNSPEC for AF_INET there (udp(7)).
    static func destinationPort(of address: UnsafeRawBufferPointer) -> UInt16? {
        guard address.count >= portOffset + 2 else { return nil }
        return UInt16(bigEndian: address.loadUnaligned(fromByteOffset: portOffset, as: UInt16.self))
    }

    private static func isUnspecified(_ address: UnsafeRawBufferPointer) -> Bool {
        address.loadUnaligned(as: UInt16.self) == 0
    }

    /// The address proper, in network byte order; `nil` for none of the internet's.
    static func place(of address: UnsafeRawBufferPointer) -> (address: UnsafeRawBufferPointer, isIPv6: Bool)? {
        guard address.count >= 8 else { return nil }
        let isIPv6 = address.loadUnaligned(as: UInt16.self) == UInt16(AF_INET6)
        guard !isIPv6 || address.count >= 24 else { return nil }
        return (UnsafeRawBufferPointer(rebasing: isIPv6 ? address[8..<24] : address[4..<8]), isIPv6)
    }

    /// Makes the port 0.
    static func clearPort(of address: UnsafeMutableRawBufferPointer) {
        address.storeBytes(of: 0, toByteOffset: portOffset, as: UInt16.self)
    }

    /// An address of a domain that says nothing: of a socket that is being connected the kernel looks at the family only.
    static func blank(_ domain: Int32, in buffer: UnsafeMutableRawBufferPointer) -> UnsafeRawBufferPointer {
        let address = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(domain == AF_INET6 ? 28 : 16)])
        for index in 0..<address.count { address[index] = 0 }
        address.storeBytes(of: UInt16(domain == AF_INET6 ? AF_INET6 : AF_INET), as: UInt16.self)
        return UnsafeRawBufferPointer(address)
    }

    /// The name of an address of AF_UNIX that has no place in a filesystem, with the zero byte that it begins with; `nil` for others.
    static func abstractName(of address: UnsafeMutableRawBufferPointer) -> UnsafeMutableRawBufferPointer? {
        guard address.count > portOffset + 1, address.loadUnaligned(as: UInt16.self) == UInt16(AF_UNIX),
            address[portOffset] == 0
        else { return nil }
        return UnsafeMutableRawBufferPointer(rebasing: address[portOffset...])
    }

    /// The address of AF_UNIX that names an object which a descriptor pins, for whoever has the descriptor too.
    static func name(ofObject object: Int32, in buffer: UnsafeMutableRawBufferPointer) -> UnsafeMutableRawBufferPointer
    {
        let prefix: StaticString = "/proc/self/fd/"
        buffer.storeBytes(of: UInt16(AF_UNIX), as: UInt16.self)
        let length = buffer.withMemoryRebound(to: CChar.self) { text -> Int in
            guard let base = text.baseAddress else { return 0 }
            var at = portOffset
            for index in 0..<prefix.utf8CodeUnitCount { base[at + index] = CChar(bitPattern: prefix.utf8Start[index]) }
            at = DecimalText.write(object, to: base, at: at + prefix.utf8CodeUnitCount)
            base[at] = 0
            return at + 1
        }
        return UnsafeMutableRawBufferPointer(rebasing: buffer[..<length])
    }
}
