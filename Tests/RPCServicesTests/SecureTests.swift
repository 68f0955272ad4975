import CertificateAuthority
import Foundation
import GRPCCore
import RPCTransport
import Synchronization
import Testing

@testable import RPCServices

@Suite struct SecureTests {
    private func code(_ body: () async throws -> String) async -> RPCError.Code? {
        do {
            _ = try await body()
            return nil
        } catch let error as RPCError { return error.code } catch { return .unknown }
    }

    @Test func bothSidesKnowWhoTheOtherIs() async throws {
        let authority = try TestAuthority()
        let server = try SecureServer(authority.texts(.agent, "node1"))
        #expect(try await server.firstAlert(as: authority.texts(.relay, "r1")) == "/secret")
        #expect(server.refusals.isEmpty)
    }

    @Test func whoHasNoSuchCertificateGetsNothing() async throws {
        let (authority, other) = (try TestAuthority(), try TestAuthority())
        let foreign = try TestAuthority(trustDomain: "other.example")
        let server = try SecureServer(authority.texts(.agent, "node1"))
        var stranger = try other.texts(.relay, "r1")
        stranger.authority = Array(authority.certificate.utf8)
        var abroad = try foreign.texts(.relay, "r1")
        abroad.authority = Array(authority.certificate.utf8)
        for (name, texts) in [
            ("another authority's", stranger), ("another trust domain's", abroad),
            ("another role", try authority.texts(.vm, "v1")),
        ] {
            #expect(await code { try await server.firstAlert(as: texts) } == .unavailable, "\(name)")
        }
        // Known, and not permitted to watch.
        let cli = try authority.texts(.cli, "c1")
        #expect(await code { try await server.firstAlert(as: cli) } == .permissionDenied)
        let refusals = server.refusals
        #expect(refusals.contains { $0.contains("spiffe://test.example/vm/v1 is not expected here") }, "\(refusals)")
        #expect(refusals.filter { $0.hasPrefix("TLS: ") }.count >= 2, "\(refusals)")
    }

    /// Who is at the other end counts, not who it says it is, and nothing was sent to it before.
    @Test func aClientLeavesAServerThatIsNotTheOneItWants() async throws {
        let authority = try TestAuthority()
        let server = try SecureServer(authority.texts(.agent, "node2"))
        let relay = try authority.texts(.relay, "r1")
        for expectation in [
            RPCConnector.Expectation(role: .agent, name: "node1"), RPCConnector.Expectation(role: .relay),
        ] {
            let reasons = Mutex<[String]>([])
            let code = await code {
                try await server.firstAlert(as: relay, expecting: expectation) { reason in
                    reasons.withLock { $0.append(reason) }
                }
            }
            #expect(code == .unavailable)
            #expect(reasons.withLock { $0 }.first?.contains("is spiffe://test.example/agent/node2, not") == true)
        }
        let expected = RPCConnector.Expectation(role: .agent, name: "node2")
        #expect(try await server.firstAlert(as: relay, expecting: expected) == "/secret")
    }

    @Test func certificatesChangeWhileConnectionsAreMade() async throws {
        let (before, after) = (try TestAuthority(), try TestAuthority())
        let server = try SecureServer(before.texts(.agent, "node1"))
        let (oldRelay, newRelay) = (try before.texts(.relay, "r1"), try after.texts(.relay, "r1"))
        #expect(try await server.firstAlert(as: oldRelay) == "/secret")
        #expect(await code { try await server.firstAlert(as: newRelay) } == .unavailable)
        // Both are trusted for a while.
        var both = try after.texts(.agent, "node1")
        both.authority = Array((before.certificate + "\n" + after.certificate).utf8)
        #expect(try server.credentials.reload(both))
        #expect(try !server.credentials.reload(both))
        var patient = oldRelay
        patient.authority = both.authority
        #expect(try await server.firstAlert(as: patient) == "/secret")
        #expect(try await server.firstAlert(as: newRelay) == "/secret")
        // What cannot be used changes nothing.
        var broken = both
        broken.key = newRelay.key
        #expect(throws: CredentialProblem.self) { try server.credentials.reload(broken) }
        broken.certificate = Array("no certificate".utf8)
        #expect(throws: (any Error).self) { try server.credentials.reload(broken) }
        #expect(try await server.firstAlert(as: newRelay) == "/secret")
        #expect(try server.credentials.reload(after.texts(.agent, "node1")))
        #expect(await code { try await server.firstAlert(as: patient) } == .unavailable)
    }

    @Test func certificatesThatHaveEndedAreOfNoUse() async throws {
        let authority = try TestAuthority()
        let old = Date().addingTimeInterval(-1000)
        #expect(throws: CredentialProblem.self) {
            _ = try TLSCredentials(authority.texts(.relay, "r1", lifetime: 600, now: old), accepting: [])
        }
    }

    @Test(arguments: [
        ("spiffe://td/agent/node1", true), ("spiffe://td.example/user-gw/web_1", true), ("spiffe://td/admin/x", false),
        ("spiffe://td/agent", false), ("spiffe://td/agent/", false), ("spiffe://td/agent/a/b", false),
        ("spiffe:///agent/a", false), ("https://td/agent/a", false), ("spiffe://td/agent/..", false),
        ("spiffe://td/agent/a%2fb", false), ("spiffe://td/local/root", false), ("spiffe://td/Agent/a", false),
        ("spiffe://td/agent/a\u{0}", false), ("", false),
    ])
    func onlyNamesOfOursAreNames(uri: String, isOne: Bool) {
        #expect((PeerIdentity(uri: uri)?.description == uri) == isOne)
    }
}
