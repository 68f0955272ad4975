import PolicyModel
import Testing

@testable import NetworkEnforcement

@Suite("Packet selections")
struct PacketSelectionTests {
    static func rule(_ fill: (inout NetworkPolicyRule) -> Void) -> NetworkPolicyRule {
        var rule = NetworkPolicyRule(
            attributes: RuleAttributes(), position: SourcePosition(file: "p", line: 1, column: 1))
        fill(&rule)
        return rule
    }

    private func problem(_ fill: (inout NetworkPolicyRule) -> Void) -> String? {
        do throws(PacketSelection.Problem) {
            _ = try PacketSelection(Self.rule(fill))
            return nil
        } catch { return error.text }
    }

    @Test func prefixesLoseTheBitsBehindThem() {
        #expect(AddressPrefix("10.1.2.3/8")?.address == [10, 0, 0, 0])
        #expect(AddressPrefix("10.1.2.3/8")?.range == 0x0A00_0000...0x0AFF_FFFF)
        #expect(AddressPrefix("10.1.2.3")?.bits == 32)
        #expect(AddressPrefix("0.0.0.0/0")?.range == 0...0xFFFF_FFFF)
        #expect(AddressPrefix("::/0")?.range == 0...UInt128.max)
        #expect(AddressPrefix("fd00::1/64")?.address == [0xFD] + [UInt8](repeating: 0, count: 15))
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "host", "10.0.0.0/-1", "10.0.0.0/8/8"] {
            #expect(AddressPrefix(text) == nil, "\(text)")
        }
    }

    @Test func namesOfServicesArePorts() throws {
        let selection = try PacketSelection(
            Self.rule {
                $0.ports = [
                    NetworkPolicyPort(port: "ssh"), NetworkPolicyPort(port: "dns", protocolName: "UDP"),
                    NetworkPolicyPort(port: "8000", endPort: 8010, protocolName: "SCTP"),
                    NetworkPolicyPort(port: "443", protocolName: "TCP"),
                ]
            })
        #expect(selection.ports[.tcp] == [22...22, 443...443])
        #expect(selection.ports[.udp] == [53...53])
        #expect(selection.ports[.sctp] == [8000...8010])
    }

    @Test func whatMeansNothingHereIsSaid() {
        #expect(
            problem { $0.ports = [NetworkPolicyPort(port: "no-such-service")] }
                == "'no-such-service' is not a service of this machine (/etc/services)")
        #expect(
            problem { $0.ports = [NetworkPolicyPort(port: "https", endPort: 80)] } == "the ports end before 443")
        for name in ["", "a/b", "sixteen-bytes-xx", "a b", "x\"y"] {
            #expect(problem { $0.interfaces = [name] } == "'\(name)' cannot be the name of an interface")
        }
        #expect(problem { $0.interfaces = ["fifteen-bytes-x"] } == nil)
    }
}
