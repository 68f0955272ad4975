import Foundation
import Testing

@testable import NetworkEnforcement

@Suite("Names of ports")
struct ServiceNamesTests {
    private static let text = """
        # comment 1/tcp
        tcpmux\t\t1/tcp\t\t\t# TCP port service multiplexer
        domain   53/tcp
        domain   53/udp  nameserver dns2
        bad      99999/tcp
        zero     0/tcp
        nothing
        short/   7
        hidden   9/tcp   # secret

        """

    @Test(arguments: [
        ("tcpmux", "tcp", 1), ("domain", "tcp", 53), ("dns2", "udp", 53), ("nameserver", "udp", 53),
        ("tcpmux", "udp", nil), ("dns2", "tcp", nil), ("bad", "tcp", nil), ("zero", "tcp", nil),
        ("nothing", "tcp", nil),
        ("secret", "tcp", nil), ("comment", "tcp", nil), ("", "tcp", nil), ("Domain", "tcp", nil),
    ])
    func areReadFromAFile(_ name: String, _ protocolName: String, _ port: UInt16?) throws {
        let file = NSTemporaryDirectory() + "services-\(UUID().uuidString)"
        try Self.text.write(toFile: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: file) }
        #expect(ServiceNames.port(of: name, protocolName, inFile: file) == port)
    }

    @Test func thereIsNoneWithoutAFile() { #expect(ServiceNames.port(of: "ssh", "tcp", inFile: "/nonexistent") == nil) }

    @Test func agreesWithTheSystemsOwnReader() {
        for name in ["ssh", "smtp", "pop3", "imaps", "ldap", "mysql"] {
            let entry = getservbyname(name, "tcp")
            let port = entry.map { UInt16(bigEndian: UInt16(truncatingIfNeeded: $0.pointee.s_port)) }
            #expect(ServiceNames.port(of: name, "tcp") == port && port != nil, "\(name)")
        }
    }
}
