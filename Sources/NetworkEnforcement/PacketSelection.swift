import Glibc
import PolicyModel

/// What packets a rule of a network policy is about, as numbers.
struct PacketSelection {
    /// A transport with destination ports (IPPROTO_*).
    enum Transport: UInt8, CaseIterable, Hashable {
        case tcp = 6
        case udp = 17
        case sctp = 132

        var name: String {
            switch self {
            case .tcp: "tcp"
            case .udp: "udp"
            case .sctp: "sctp"
            }
        }
    }

    var interfaces: [String]
    /// The policy names addresses; a family without any has no packet that the rule is about.
    var hasAddresses: Bool
    var addresses: [AddressFamily: [AddressPrefix]] = [:]
    /// Ports by transport; empty: every packet.
    var ports: [Transport: [ClosedRange<UInt128>]] = [:]

    /// Something that the policy language lets through and that means nothing here.
    struct Problem: Error {
        var text: String
    }

    /// Linux keeps names of at most 15 bytes (IFNAMSIZ).
    private static let longestInterface = 15

    init(_ rule: NetworkPolicyRule) throws(Problem) {
        interfaces = []
        for name in rule.interfaces where !interfaces.contains(name) {
            guard !name.isEmpty, name.utf8.count <= Self.longestInterface, !name.utf8.contains(0),
                name.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x2F && $0 < 0x7F && $0 != 0x22 })
            else { throw Problem(text: "'\(name)' cannot be the name of an interface") }
            interfaces.append(name)
        }
        hasAddresses = !rule.cidrs.isEmpty
        for text in rule.cidrs {
            guard let prefix = AddressPrefix(text) else { throw Problem(text: "'\(text)' is not an address range") }
            addresses[prefix.family, default: []].append(prefix)
        }
        for port in rule.ports {
            let transport: Transport =
                switch port.protocolName {
                case "UDP": .udp
                case "SCTP": .sctp
                default: .tcp
                }
            guard let first = Self.number(port.port, transport) else {
                throw Problem(text: "'\(port.port)' is not a service of this machine (/etc/services)")
            }
            let last = port.endPort.flatMap(UInt16.init(exactly:)) ?? first
            guard last >= first else { throw Problem(text: "the ports end before \(first)") }
            ports[transport, default: []].append(UInt128(first)...UInt128(last))
        }
    }

    /// KubeArmor's names first: they are the same everywhere.
    private static let services: [String: UInt16] = ["ssh": 22, "http": 80, "https": 443, "dns": 53]

    private static func number(_ text: String, _ transport: Transport) -> UInt16? {
        if let number = UInt16(text) { return number > 0 ? number : nil }
        if let number = services[text] { return number }
        return ServiceNames.port(of: text, transport.name)
    }

    /// Only ports tell its packets from others.
    var isByPortsAlone: Bool { interfaces.isEmpty && !hasAddresses && !ports.isEmpty }
    /// Only addresses tell its packets from others.
    var isByAddressesAlone: Bool { interfaces.isEmpty && hasAddresses && ports.isEmpty }

    /// What it is about, for people.
    static func text(_ rule: NetworkPolicyRule, _ preposition: String) -> String {
        var parts: [String] = []
        if !rule.cidrs.isEmpty { parts.append("\(preposition) " + rule.cidrs.joined(separator: ",")) }
        if !rule.interfaces.isEmpty { parts.append("iface " + rule.interfaces.joined(separator: ",")) }
        if !rule.ports.isEmpty {
            let ports = rule.ports.map { port in
                let name = port.protocolName.isEmpty ? "tcp" : port.protocolName.lowercased()
                return "\(name)/\(port.port)" + (port.endPort.map { "-\($0)" } ?? "")
            }
            parts.append("ports " + ports.joined(separator: ","))
        }
        if !rule.limit.isEmpty {
            parts.append("limit \(rule.limit)" + (rule.duration.isEmpty ? "" : " per \(rule.duration)"))
        }
        return parts.isEmpty ? "every packet" : parts.joined(separator: " ")
    }
}
