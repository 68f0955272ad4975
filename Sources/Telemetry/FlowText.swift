import EventRing
import Glibc

/// Words of `Resource` and `Data` for packets.
enum FlowText {
    /// `INGRESS` or `EGRESS`.
    static func direction(_ flow: PacketFlow) -> String { flow.isIngress ? "INGRESS" : "EGRESS" }

    /// `SourceIP=… SourcePort=… DestinationIP=… DestinationPort=… Protocol=TCP`, the quota if it is about one, and the interface.
    static func data(_ flow: PacketFlow, quotaLevel: String, quotaLimit: String) -> String {
        var text =
            "SourceIP=\(address(flow.source, flow.version)) SourcePort=\(flow.sourcePort)"
            + " DestinationIP=\(address(flow.destination, flow.version)) DestinationPort=\(flow.destinationPort)"
            + " Protocol=\(transport(flow.transport))"
        if flow.origin == .quota { text += " QuotaLevel=\(quotaLevel) QuotaLimit=\(quotaLimit)" }
        return text + interface(flow)
    }

    /// The address that the packet goes to.
    static func destination(_ flow: PacketFlow) -> String { address(flow.destination, flow.version) }

    /// ` Interface=…`, if there is one.
    static func interface(_ flow: PacketFlow) -> String {
        let name = (0..<16).map { flow.interface[$0] }.prefix { $0 != 0 }
        // The kernel lets a name have bytes that would look like the next word.
        guard !name.isEmpty, name.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x3D }) else { return "" }
        return " Interface=\(String(decoding: name, as: UTF8.self))"
    }

    private static func address(_ bytes: SIMD16<UInt8>, _ version: UInt8) -> String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let raw = (0..<16).map { bytes[$0] }
        guard inet_ntop(version == 4 ? AF_INET : AF_INET6, raw, &text, socklen_t(text.count)) != nil else { return "" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// `TCP`, `UDP`, …, or the number.
    static func transport(_ number: UInt8) -> String {
        switch number {
        case 1: "ICMP"
        case 6: "TCP"
        case 17: "UDP"
        case 58: "ICMPv6"
        case 132: "SCTP"
        default: "Proto-\(number)"
        }
    }
}
