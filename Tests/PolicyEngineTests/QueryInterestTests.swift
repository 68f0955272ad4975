import PolicyModel
import Testing

@testable import PolicyEngine

/// Whether some query of a program's could be blocked, before it is known which.
@Suite("Query interest")
struct QueryInterestTests {
    private static func interest(
        _ rules: [String], source: String? = nil, posture: Posture = .block
    ) throws -> Bool? {
        var postures = Postures()
        postures.network = posture
        let script = try EngineScript(rules, postures: postures)
        return try script.compiled.bytes.withUnsafeBytes { bytes in
            let snapshot = try Snapshot(validating: bytes)
            guard let source else { return snapshot.mayBlockQueries(source: nil) }
            return Array(source.utf8).withUnsafeBytes { snapshot.mayBlockQueries(source: $0) }
        }
    }

    @Test func itFollowsFromTheRules() throws {
        #expect(try Self.interest(["block tcp"]) == false)
        #expect(try Self.interest(["audit dns a.b"]) == false)
        #expect(try Self.interest(["block dns a.b"]) == true)
        #expect(try Self.interest(["block dns a.b", "allow dns a.b"], posture: .audit) == false)
        #expect(try Self.interest(["allow dns a.b"]) == true)
        #expect(try Self.interest(["allow dns a.b"], posture: .audit) == false)
    }

    @Test func itDependsOnTheProgramWhereTheRuleDoes() throws {
        let rules = ["block dns a.b from=/s", "audit dns c.d"]
        #expect(try Self.interest(rules) == nil)
        #expect(try Self.interest(rules, source: "/s") == true)
        #expect(try Self.interest(rules, source: "/other") == false)
        #expect(try Self.interest(rules, source: "") == false)
        #expect(try Self.interest(rules + ["block dns e.f"]) == true)
    }

    /// Of pods it is asked for a name with the cluster's domains behind it first.
    @Test func aClustersDomainsAreSearched() throws {
        var policy = Policy(kind: .container, name: "p", position: EngineScript.position(1))
        policy.namespace = "multiubuntu"
        policy.dns = [
            DNSRule(
                domain: "google.com", attributes: RuleAttributes(action: .block), position: EngineScript.position(1))
        ]
        let compiled = try SnapshotCompiler(seed: 1).compile(policies: [policy], postures: Postures(), generation: 1)
        try compiled.bytes.withUnsafeBytes { bytes in
            let snapshot = try Snapshot(validating: bytes)
            func isBlocked(_ name: String) -> Bool {
                Array(name.utf8).withUnsafeBytes { snapshot.dnsVerdict(name: $0, source: nil).effect == .block }
            }
            for suffix in ["", ".cluster.local", ".svc.cluster.local", ".multiubuntu.svc.cluster.local"] {
                #expect(isBlocked("www.google.com" + suffix))
            }
            #expect(!isBlocked("google.com.other.svc.cluster.local"))
            #expect(!isBlocked("google.com.local"))
        }
    }
}
