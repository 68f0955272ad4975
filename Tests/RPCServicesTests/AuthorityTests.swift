import CertificateAuthority
import Foundation
import RPCTransport
import Testing
import X509

@Suite struct AuthorityTests {
    private func withFolder(_ body: (AuthorityFolder) throws -> Void) throws {
        let path = "/tmp/portcullis-authority-\(UUID().uuidString.prefix(8))"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(AuthorityFolder(path))
    }

    private func request(_ name: String = "node1", lifetime: TimeInterval = 3600) throws -> CertificateAuthority.Request
    {
        CertificateAuthority.Request(
            identity: try #require(PeerIdentity(trustDomain: "td", role: .agent, name: name)), dnsNames: ["a.example"],
            addresses: [[127, 0, 0, 1]], lifetime: lifetime)
    }

    private func mode(_ path: String) throws -> Int {
        try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
    }

    @Test func keysAreForTheOwnerOnly() throws {
        try withFolder { folder in
            for path in try folder.create(trustDomain: "td", lifetime: 86400) { #expect(path.hasPrefix(folder.path)) }
            let (paths, _) = try folder.issue(request(), as: "server")
            #expect(paths == ["\(folder.path)/server.crt", "\(folder.path)/server.key"])
            #expect(try mode(folder.path) == 0o700)
            for name in ["ca.key", "server.key"] { #expect(try mode("\(folder.path)/\(name)") == 0o600) }
            #expect(
                try Set(FileManager.default.contentsOfDirectory(atPath: folder.path)) == [
                    "ca.crt", "ca.key", "server.crt", "server.key",
                ])
            #expect(throws: CredentialProblem.self) { try folder.create(trustDomain: "td", lifetime: 1) }
            #expect(throws: CredentialProblem.self) { try folder.issue(request(), as: "../x") }
            #expect(throws: CredentialProblem.self) { try folder.issue(request(), as: "ca") }
        }
    }

    @Test func rotationKeepsWhatACertificateSays() throws {
        try withFolder { folder in
            _ = try folder.create(trustDomain: "td", lifetime: 86400)
            _ = try folder.issue(request(), as: "server")
            let read = { try String(contentsOfFile: "\(folder.path)/server.crt", encoding: .utf8) }
            let before = try read()
            #expect(try folder.rotate([], elapsed: 0.5).isEmpty, "none is due")
            #expect(try folder.rotate([], elapsed: 0).count == 1)
            let after = try read()
            let (old, new) = (try CertificateAuthority.request(of: before), try CertificateAuthority.request(of: after))
            #expect(old.identity == new.identity && old.dnsNames == new.dnsNames && old.addresses == new.addresses)
            #expect(abs(old.lifetime - new.lifetime) < 2)
            #expect(try Certificate(pemEncoded: before).publicKey != Certificate(pemEncoded: after).publicKey)
        }
    }

    @Test func aNewAuthorityIsTrustedBesideTheOld() throws {
        try withFolder { folder in
            _ = try folder.create(trustDomain: "td", lifetime: 86400)
            _ = try folder.issue(request(), as: "server")
            let before = try CredentialTexts.read(folder: folder.path, name: "server")
            _ = try folder.rotateAuthority(lifetime: 86400)
            let bundle = try String(contentsOfFile: "\(folder.path)/ca.crt", encoding: .utf8)
            #expect(bundle.components(separatedBy: "BEGIN CERTIFICATE").count == 3)
            _ = try folder.rotate([], elapsed: 0)
            let after = try CredentialTexts.read(folder: folder.path, name: "server")
            #expect(before.certificate != after.certificate)
            _ = try TLSCredentials(after, accepting: [])
        }
    }

    @Test func nobodyOutlivesTheAuthority() throws {
        let made = try CertificateAuthority.make(trustDomain: "td", lifetime: 3600)
        let issued = try made.authority.issue(request(lifetime: 86400))
        // Certificates know whole seconds.
        #expect(issued.notAfter <= made.issued.notAfter.addingTimeInterval(1))
        #expect(throws: CredentialProblem.self) {
            let other = try #require(PeerIdentity(trustDomain: "other", role: .agent, name: "x"))
            _ = try made.authority.issue(CertificateAuthority.Request(identity: other))
        }
    }
}
