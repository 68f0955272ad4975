import EventRing
import LinuxKernel

/// What an alert says of a query besides the name: whom it asks, and for what.
enum QueryRecord {
    /// A `PacketQuery`.
    ///
    /// - Parameters:
    ///   - type: QTYPE; 0 where it is not known.
    ///   - address: the resolver's; empty where it is not known.
    ///   - buffer: at least 128 bytes.
    /// - Returns: the part of the buffer that was written; none for an unknown address.
    static func write(
        type: UInt16, _ kind: SocketKind, _ address: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer
    ) -> UnsafeRawBufferPointer {
        guard let place = SocketAddress.place(of: address) else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        var flow = PacketFlow(version: place.isIPv6 ? 6 : 4)
        flow.transport = kind.isDatagramTransport ? 17 : 6
        flow.destinationPort = SocketAddress.resolverPort
        for index in 0..<place.address.count { flow.destination[index] = place.address[index] }
        PacketQuery(flow: flow, type: type).write(to: buffer)
        return UnsafeRawBufferPointer(rebasing: buffer[..<PacketQuery.size])
    }
}
