import EventRing

/// The headers of a packet, as far as alerts show them. Reads no byte that is not there.
enum PacketHeader {
    private static let maximumExtensions = 8
    private static let fragment: UInt8 = 44

    /// The flow of a packet that starts with its network header; `nil` when it is neither IPv4 nor IPv6, or cut off before its
    /// addresses end. Allocates nothing.
    static func flow(_ packet: UnsafeRawBufferPointer) -> PacketFlow? { parse(packet)?.flow }

    /// The flow, and what a packet of TCP or UDP carries; nothing of any other, or of a later fragment.
    static func parse(_ packet: UnsafeRawBufferPointer) -> (flow: PacketFlow, content: UnsafeRawBufferPointer)? {
        guard let (flow, offset) = headers(packet) else { return nil }
        guard let offset else { return (flow, UnsafeRawBufferPointer(rebasing: packet[..<0])) }
        let length: Int
        switch flow.transport {
        case 17: length = 8
        case 6 where packet.count > offset + 12: length = Int(packet[offset + 12] >> 4) * 4
        default: length = packet.count
        }
        return (flow, UnsafeRawBufferPointer(rebasing: packet[min(packet.count, offset + max(8, length))...]))
    }

    /// The flow, and where the transport's header begins if the packet has it.
    private static func headers(_ packet: UnsafeRawBufferPointer) -> (flow: PacketFlow, transport: Int?)? {
        guard let first = packet.first else { return nil }
        switch first >> 4 {
        case 4: return ipv4(packet)
        case 6: return ipv6(packet)
        default: return nil
        }
    }

    private static func ipv4(_ packet: UnsafeRawBufferPointer) -> (PacketFlow, Int?)? {
        let length = Int(packet[0] & 0xF) * 4
        guard length >= 20, packet.count >= 20 else { return nil }
        var flow = PacketFlow(version: 4)
        flow.transport = packet[9]
        for index in 0..<4 {
            flow.source[index] = packet[12 + index]
            flow.destination[index] = packet[16 + index]
        }
        let isLaterFragment = UInt16(packet[6] & 0x1F) << 8 | UInt16(packet[7]) != 0
        if isLaterFragment { return (flow, nil) }
        readPorts(packet, length, &flow)
        return (flow, length)
    }

    private static func ipv6(_ packet: UnsafeRawBufferPointer) -> (PacketFlow, Int?)? {
        guard packet.count >= 40 else { return nil }
        var flow = PacketFlow(version: 6)
        for index in 0..<16 {
            flow.source[index] = packet[8 + index]
            flow.destination[index] = packet[24 + index]
        }
        var next = packet[6]
        var offset = 40
        for _ in 0..<maximumExtensions {
            // Hop-by-hop, routing, destination options: type, length in units of 8 bytes less one. RFC 8200.
            switch next {
            case 0, 43, 60:
                guard packet.count >= offset + 8 else { return (flow, nil) }
                next = packet[offset]
                offset += (Int(packet[offset + 1]) + 1) * 8
            case fragment:
                guard packet.count >= offset + 8 else { return (flow, nil) }
                next = packet[offset]
                flow.transport = next
                if UInt16(packet[offset + 2]) << 8 | UInt16(packet[offset + 3] & 0xF8) != 0 { return (flow, nil) }
                offset += 8
            default:
                flow.transport = next
                readPorts(packet, offset, &flow)
                return (flow, offset)
            }
        }
        return (flow, nil)
    }

    private static func readPorts(_ packet: UnsafeRawBufferPointer, _ offset: Int, _ flow: inout PacketFlow) {
        // TCP, UDP, DCCP, SCTP, UDP-Lite.
        guard [6, 17, 33, 132, 136].contains(flow.transport), packet.count >= offset + 4 else { return }
        flow.sourcePort = UInt16(packet[offset]) << 8 | UInt16(packet[offset + 1])
        flow.destinationPort = UInt16(packet[offset + 2]) << 8 | UInt16(packet[offset + 3])
    }
}
