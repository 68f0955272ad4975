import Foundation
import PolicyEngine
import PolicyModel
import Testing

@testable import NetworkEnforcement

/// Rulesets as nft(8) would print them. `RECORD_SNAPSHOTS=1` writes the golden files anew and fails.
@Suite("Rulesets")
struct RulesetPlannerTests {
    static func policy(
        _ name: String, ingress: [NetworkPolicyRule] = [], egress: [NetworkPolicyRule] = [],
        action: RuleAction = .block
    ) -> Policy {
        var policy = Policy(
            kind: .network, name: name, attributes: RuleAttributes(action: action),
            position: SourcePosition(file: "p", line: 1, column: 1))
        policy.ingress = ingress
        policy.egress = egress
        return policy
    }

    static func rule(
        _ action: RuleAction = .block, cidrs: [String] = [], interfaces: [String] = [],
        ports: [NetworkPolicyPort] = [], limit: String = "", duration: String = ""
    ) -> NetworkPolicyRule {
        var rule = NetworkPolicyRule(
            attributes: RuleAttributes(action: action), position: SourcePosition(file: "p", line: 1, column: 1))
        rule.cidrs = cidrs
        rule.interfaces = interfaces
        rule.ports = ports
        rule.limit = limit
        rule.duration = duration
        return rule
    }

    static func plan(
        _ policies: [Policy], protocols: [ProtocolDecision] = [], domains: DomainDecisions? = nil,
        posture: Posture = .audit
    ) -> (ruleset: Ruleset, rules: [RuleDescription]) {
        var decisions = PacketDecisions()
        (decisions.protocols, decisions.domains) = (protocols, domains)
        return RulesetPlanner.plan(
            policies, decisions,
            RulesetPlanner.Settings(posture: posture, generation: 7, logGroup: 20557, firstRule: 3))
    }

    /// What rules on sockets mean for packets.
    static func protocols(
        _ names: [(ProtocolName, RuleAction)], sources: [String] = [], terminal: Bool? = nil, posture: Posture = .block
    ) throws -> [ProtocolDecision] {
        var policy = Policy(kind: .host, name: "p", position: SourcePosition(file: "p", line: 1, column: 1))
        policy.protocols = names.map { name, action in
            var rule = ProtocolRule(
                name: name, attributes: RuleAttributes(action: action),
                position: SourcePosition(file: "p", line: 1, column: 1))
            rule.sources = sources
            rule.terminal = terminal
            return rule
        }
        let compiled = try SnapshotCompiler(seed: 1).compile(
            policies: [policy], postures: Postures(network: posture), generation: 1)
        return try compiled.bytes.withUnsafeBytes { ProtocolDecision.of(try Snapshot(validating: $0)) }
    }

    @Test func rulesOnSocketsMeanSomethingForPackets() throws {
        func found(_ decisions: [ProtocolDecision]) -> [String] {
            decisions.map { "\($0.transport) \($0.blocks ? "block" : "audit") \($0.rule.rawValue)" }
        }
        #expect(found(try Self.protocols([(.tcp, .block)])) == ["6 block 0"])
        #expect(found(try Self.protocols([(.udp, .audit), (.icmp, .block)])) == ["1 block 1", "17 audit 0"])
        // Whose sockets, with what terminal, or of what type: no packet tells.
        #expect(try Self.protocols([(.tcp, .block)], sources: ["/bin/a"]) == [])
        #expect(try Self.protocols([(.tcp, .block)], terminal: false) == [])
        #expect(try Self.protocols([(.raw, .block)]) == [])
        #expect(found(try Self.protocols([(.stream, .block)])) == ["6 block 0"])
        let posture = RuleID.defaultPosture.rawValue
        #expect(
            found(try Self.protocols([(.tcp, .allow)]))
                == [1, 17, 33, 58, 132, 136].map { "\($0) block \(posture)" })
        #expect(
            found(try Self.protocols([(.tcp, .allow)], posture: .audit))
                == [1, 17, 33, 58, 132, 136].map { "\($0) audit \(posture)" })
        #expect(try Self.protocols([(.tcp, .allow)], posture: .allow) == [])
    }

    private static let web = [NetworkPolicyPort(port: "80"), NetworkPolicyPort(port: "443")]

    static let cases: [(name: String, policies: [Policy], posture: Posture)] = [
        (
            "fields",
            [
                policy(
                    "p",
                    ingress: [
                        rule(cidrs: ["10.0.0.0/8"]), rule(interfaces: ["eth0"]),
                        rule(
                            .audit, cidrs: ["10.0.0.0/8", "192.168.0.0/16", "fd00::/8"], interfaces: ["eth0", "eth1"],
                            ports: web + [NetworkPolicyPort(port: "53", protocolName: "UDP")]),
                        rule(),
                    ], egress: [rule(ports: [NetworkPolicyPort(port: "8000", endPort: 8010, protocolName: "SCTP")])])
            ], .audit
        ),
        // No address of one family must not mean every address of the other.
        (
            "one-family",
            [
                policy(
                    "p",
                    egress: [rule(cidrs: ["1.1.1.1/32"], ports: [NetworkPolicyPort(port: "dns", protocolName: "UDP")])])
            ], .audit
        ),
        (
            "ports-as-map",
            [
                policy(
                    "a",
                    ingress: [
                        rule(.allow, ports: web), rule(.audit, ports: [NetworkPolicyPort(port: "1", endPort: 1024)]),
                    ]),
                policy(
                    "b",
                    ingress: [
                        rule(ports: [
                            NetworkPolicyPort(port: "400", endPort: 500),
                            NetworkPolicyPort(port: "53", protocolName: "UDP"),
                        ])
                    ]),
            ], .audit
        ),
        (
            "addresses-as-map",
            [
                policy(
                    "a",
                    egress: [
                        rule(.allow, cidrs: ["10.1.0.0/16", "fd00:1::/32"]), rule(cidrs: ["10.0.0.0/8", "fd00::/16"]),
                        rule(.audit, cidrs: ["0.0.0.0/0", "::/0"]),
                    ])
            ], .audit
        ),
        ("allow-list-blocked", [policy("a", ingress: [rule(.allow, ports: web)], action: .allow)], .block),
        ("allow-list-audited", [policy("a", ingress: [rule(.allow, ports: web)], action: .allow)], .audit),
        ("allow-list-open", [policy("a", ingress: [rule(.allow, ports: web)], action: .allow)], .allow),
        (
            "quotas",
            [
                policy(
                    "a.b-c",
                    ingress: [rule(limit: "2MB", duration: "1h"), rule(.audit, interfaces: ["eth0"], limit: "500K")],
                    egress: [rule(ports: web, limit: "1", duration: "30m"), rule(cidrs: ["10.0.0.0/8"])])
            ], .audit
        ),
        ("nothing", [policy("a")], .block),
        ("protocols", [policy("a", egress: [rule(cidrs: ["10.0.0.0/8"])])], .block),
        ("names", [], .audit),
        ("names-audited", [policy("a", egress: [rule(cidrs: ["10.0.0.0/8"])])], .audit),
    ]

    /// The ruleset of a case; some have decisions on sockets or names too.
    static func ruleset(_ index: Int) throws -> Ruleset {
        let (name, policies, posture) = cases[index]
        let decisions = try name == "protocols" ? protocols([(.tcp, .allow), (.udp, .audit), (.icmp, .block)]) : []
        let domains =
            try name == "names"
            ? domains([("evil.test", .block), ("Bad-1.example.com", .block), ("ok.evil.test", .allow)])
            : name == "names-audited" ? domains([("evil.test", .audit)]) : nil
        return plan(policies, protocols: decisions, domains: domains, posture: posture).ruleset
    }

    /// What rules on names mean for packets.
    static func domains(
        _ names: [(String, RuleAction)], sources: [String: [String]] = [:], posture: Posture = .audit
    ) throws -> DomainDecisions? {
        var policy = Policy(kind: .host, name: "p", position: SourcePosition(file: "p", line: 1, column: 1))
        policy.dns = names.map { name, action in
            var rule = DNSRule(
                domain: name, attributes: RuleAttributes(action: action),
                position: SourcePosition(file: "p", line: 1, column: 1))
            rule.sources = sources[name] ?? []
            return rule
        }
        let compiled = try SnapshotCompiler(seed: 1).compile(
            policies: [policy], postures: Postures(network: posture), generation: 1)
        return try compiled.bytes.withUnsafeBytes {
            DomainDecisions.of(
                try Snapshot(validating: $0), domains: policy.dns.map(\.domain), sources: policy.dns.flatMap(\.sources))
        }
    }

    @Test func rulesOnNamesMeanSomethingForPackets() throws {
        func names(_ decisions: DomainDecisions?) -> [String] {
            decisions.map { $0.names.map { "\($0.text) \($0.blockedBy.map { "\($0.rawValue)" } ?? "passes")" } } ?? [
                "nil"
            ]
        }
        #expect(
            names(try Self.domains([("evil.test", .block), ("ok.evil.test", .allow), ("b.ok.evil.test", .block)]))
                == ["b.ok.evil.test 2", "ok.evil.test passes", "evil.test 0"])
        // An exception of nothing is none, to be reported is none either, and who asks is not known.
        #expect(names(try Self.domains([("a.test", .allow), ("evil.test", .block)])) == ["evil.test 1"])
        #expect(names(try Self.domains([("a.evil.test", .audit), ("evil.test", .block)])) == ["evil.test 1"])
        #expect(names(try Self.domains([("a.test", .audit)])) == [])
        #expect(names(try Self.domains([("a.test", .block)], sources: ["a.test": ["/bin/a"]])) == ["nil"])
        #expect(
            names(try Self.domains([("a.test", .block), ("b.a.test", .block)], sources: ["b.a.test": ["/bin/a"]]))
                == ["a.test 0"])
        #expect(
            names(try Self.domains([("a.test", .block), ("b.a.test", .allow)], sources: ["b.a.test": ["/bin/a"]]))
                == ["b.a.test passes", "a.test 0"])
        // An allow-list: every query is looked at, none is held back.
        #expect(names(try Self.domains([("a.test", .allow)], posture: .block)) == [])
        #expect(names(try Self.domains([("a.test", .allow)], posture: .allow)) == ["nil"])
        #expect(names(try Self.domains([])) == ["nil"])
    }

    /// Too many names are told of, and never half of a rule and its exceptions.
    @Test func namesBeyondTheLimitAreTold() throws {
        let many = (0..<40).flatMap { [("d\($0).test", RuleAction.block), ("ok.d\($0).test", .allow)] }
        let decisions = try #require(try Self.domains(many))
        #expect(decisions.names.count == DomainDecisions.limit && decisions.beyondLimit.count == 8)
        #expect(decisions.withExceptions.count == 32)
        #expect(decisions.names.filter { $0.blockedBy == nil }.count == 32)
    }

    @Test(arguments: cases.indices) func aRulesetIsItsGoldenText(_ index: Int) throws {
        let name = Self.cases[index].name
        let text = Self.abridged(try Self.ruleset(index).text)
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Golden/\(name).nft")
        if ProcessInfo.processInfo.environment["RECORD_SNAPSHOTS"] == "1" {
            try text.write(to: file, atomically: true, encoding: .utf8)
            Issue.record("recorded \(name)")
        }
        #expect(text == (try String(contentsOf: file, encoding: .utf8)))
    }

    /// Of the chains that are the same at each place of a packet the first two are enough.
    private static func abridged(_ text: String) -> String {
        text.components(separatedBy: "\n\n").filter { block in
            !block.contains("chain dns-at-") || block.contains("dns-at-20 ") || block.contains("dns-at-21 ")
        }.joined(separator: "\n\n")
    }

    @Test(arguments: cases.indices) func aRulesetSurvivesTheWayToTheWorker(_ index: Int) throws {
        let ruleset = try Self.ruleset(index)
        let decoded = try RulesetCoding.encode(ruleset).withUnsafeBytes { try RulesetCoding.decode($0) }
        #expect(decoded == ruleset)
        let bundle = NetworkBundle([0: ruleset, 9: ruleset])
        #expect(try bundle.encoded().withUnsafeBytes { try NetworkBundle(decoding: $0) } == bundle)
    }

    /// What the worker gets can be anything: it is refused, or it is a ruleset, and never a crash.
    @Test func brokenRulesetsAreRefused() {
        let bytes = RulesetCoding.encode(Self.plan(Self.cases[0].policies + Self.cases[7].policies).ruleset)
        func read(_ bytes: [UInt8]) -> Bool { (try? bytes.withUnsafeBytes { try RulesetCoding.decode($0) }) != nil }
        #expect(read(bytes))
        for length in 1..<bytes.count { #expect(!read(Array(bytes.prefix(length)))) }
        #expect(!read(bytes + [0]))
        var random = SystemRandomNumberGenerator()
        var refused = 0
        for _ in 0..<20_000 {
            var broken = bytes
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                broken[Int.random(in: 0..<broken.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            if !read(broken) { refused += 1 }
        }
        #expect(refused > 1000)
    }

    @Test func rulesAreNumberedAndDescribed() throws {
        let (_, rules) = Self.plan([
            Self.policy(
                "p", ingress: [Self.rule(cidrs: ["10.0.0.0/8"], interfaces: ["eth0"], ports: Self.web)],
                egress: [
                    Self.rule(ports: [NetworkPolicyPort(port: "no-such-service")]),
                    Self.rule(.audit, limit: "2MB", duration: "1h"),
                ])
        ])
        #expect(rules.map(\.id.rawValue) == [3, 4, 5])
        #expect(rules[0].subject == "from 10.0.0.0/8 iface eth0 ports tcp/80,tcp/443")
        #expect(rules[0].packet == PacketRule(direction: .ingress))
        #expect(rules[1].packet?.problem == "'no-such-service' is not a service of this machine (/etc/services)")
        #expect(rules[2].packet == PacketRule(direction: .egress, quotaLevel: "host", quotaLimit: "2MB"))
        #expect(rules[2].subject == "limit 2MB per 1h" && rules[2].attributes.action == .audit)
    }

    /// T51: no text of a policy is part of what the kernel or nft(8) gets, but for the policy's name, whose characters are few.
    @Test func noTextOfAPolicyReachesTheKernel() {
        var policy = Self.policy("p", ingress: [Self.rule()])
        policy.attributes.message = "\"; nft flush ruleset; \""
        policy.ingress[0].attributes.message = "$(reboot)\n}"
        policy.ingress[0].attributes.tags = ["}; flush ruleset"]
        #expect(Self.plan([policy]).ruleset == Self.plan([Self.policy("p", ingress: [Self.rule()])]).ruleset)
    }

    @Test func aKernelWithoutAnExpressionGetsTheRest() {
        let quotas = Self.plan(Self.cases[7].policies).ruleset
        let reduced = quotas.reduced(to: [.tables, .flows])
        #expect(reduced.quotas == [] && !reduced.text.contains("quota name"))
        #expect(!reduced.text.contains("log prefix") && !reduced.text.contains("limit rate"))
        #expect(reduced.text.contains("ip daddr 10.0.0.0/8 goto rule-6"))
        #expect(quotas.reduced(to: [.tables]).isEmpty)
        #expect(quotas.reduced(to: .all) == quotas)
        #expect(quotas.quotaRules.map(\.rawValue).sorted() == [3, 4, 5])
    }

    /// 10 000 ranges and 1 000 ports are three sets, not eleven thousand comparisons.
    @Test func manyRangesAreFewRules() {
        let cidrs = (0..<10_000).map { "10.\($0 / 250).\($0 % 250).0/25" }
        let ports = (0..<1000).map { Self.rule(ports: [NetworkPolicyPort(port: "\(1000 + 3 * $0)")]) }
        let ruleset = Self.plan([Self.policy("a", ingress: [Self.rule(cidrs: cidrs)] + ports)]).ruleset
        #expect(ruleset.sets.count == 2)
        #expect(ruleset.sets.first?.ranges.count == 10_000 && ruleset.sets.last?.ranges.count == 1000)
        #expect(ruleset.chains.first?.rules.count == 4)
    }
}
