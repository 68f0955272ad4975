import PolicyModel
import Testing

/// Section 3.8 of the language: KubeArmorNetworkPolicy.
@Suite("Network policies")
struct NetworkPolicyTests {
    static func rule(_ change: (inout NetworkPolicyRule) -> Void = { _ in }) -> NetworkPolicyRule {
        var rule = NetworkPolicyRule(attributes: RuleAttributes(), position: SpecText.here)
        change(&rule)
        return rule
    }

    /// `@` is where `from` or `to` stands.
    @Test(arguments: [
        ("{}", rule()),
        ("{@: [{ipBlock: {cidr: 10.0.0.0/8}}]}", rule { $0.cidrs = ["10.0.0.0/8"] }),
        (
            "{@: [{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: \"::/0\"}}, {ipBlock: {cidr: \"2001:db8::1.2.3.4/128\"}}]}",
            rule { $0.cidrs = ["0.0.0.0/0", "::/0", "2001:db8::1.2.3.4/128"] }
        ),
        ("{iface: [eth0, \"lo\"]}", rule { $0.interfaces = ["eth0", "lo"] }),
        ("{ports: [{port: \"80\"}]}", rule { $0.ports = [.init(port: "80")] }),
        (
            "{ports: [{port: \"1\", endPort: 65535, protocol: UDP}, {port: ssh, protocol: tcp}, {port: nfs, protocol: sctp}]}",
            rule {
                $0.ports = [
                    .init(port: "1", endPort: 65_535, protocolName: "UDP"), .init(port: "ssh", protocolName: "TCP"),
                    .init(port: "nfs", protocolName: "SCTP"),
                ]
            }
        ),
        ("{ports: [{port: \"80\", endPort: 80}]}", rule { $0.ports = [.init(port: "80", endPort: 80)] }),
        ("{limit: \"5\"}", rule { $0.limit = "5" }), ("{limit: 500KB}", rule { $0.limit = "500KB" }),
        ("{limit: 2M}", rule { $0.limit = "2M" }), ("{limit: 1GB}", rule { $0.limit = "1GB" }),
        ("{duration: 2h}", rule { $0.duration = "2h" }), ("{duration: 30m}", rule { $0.duration = "30m" }),
        ("{duration: 1h15m30.5s}", rule { $0.duration = "1h15m30.5s" }),
        ("{duration: 1500ms}", rule { $0.duration = "1500ms" }),
        ("{duration: .5h}", rule { $0.duration = ".5h" }),
        (
            "{severity: 9, tags: [x], message: y, action: Allow}",
            rule { $0.attributes = RuleAttributes(severity: 9, tags: ["x"], message: "y", action: .allow) }
        ),
    ])
    func rules(item: String, expected: NetworkPolicyRule) {
        let labels = [Selector.Label(key: "a", value: "b")]
        for (list, peers) in [("ingress", "from"), ("egress", "to")] {
            let text = SpecText(
                .network, "nodeSelector: {matchLabels: {a: b}}\n\(list): [\(item.replacing("@", with: peers))]")
            let wanted = text.empty {
                $0.selector.labels = labels
                $0.selectsNodes = true
                if list == "ingress" { $0.ingress = [expected] } else { $0.egress = [expected] }
            }
            #expect(text.policy == wanted, "\(list): \(text.result.diagnostics)")
        }
    }

    @Test(arguments: [
        ("{@: [{}]}", "@[0].ipBlock is required"), ("{@: [{ipBlock: {}}]}", "@[0].ipBlock.cidr is required"),
        ("{@: [{ipBlock: {cidr: \"\"}}]}", "@[0].ipBlock.cidr '' must be an address and a prefix length"),
        ("{@: [{ipBlock: {cidr: 10.0.0.1}}]}", "@[0].ipBlock.cidr '10.0.0.1' must be an address and a prefix length"),
        (
            "{@: [{ipBlock: {cidr: 10.0.0.0/+8}}]}",
            "@[0].ipBlock.cidr '10.0.0.0/+8' must be an address and a prefix length"
        ),
        (
            "{@: [{ipBlock: {cidr: 10.0.0.0/08}}]}",
            "@[0].ipBlock.cidr '10.0.0.0/08' must be an address and a prefix length"
        ),
        ("{@: [{ipBlock: {cidr: 10.0.0/8}}]}", "@[0].ipBlock.cidr '10.0.0/8' is not an IPv4 or IPv6 address"),
        ("{@: [{ipBlock: {cidr: 10.0.0.010/8}}]}", "@[0].ipBlock.cidr '10.0.0.010/8' is not an IPv4 or IPv6 address"),
        ("{@: [{ipBlock: {cidr: -0.0.0.0/8}}]}", "@[0].ipBlock.cidr '-0.0.0.0/8' is not an IPv4 or IPv6 address"),
        ("{@: [{ipBlock: {cidr: \"1.2.3.4::/8\"}}]}", "@[0].ipBlock.cidr '1.2.3.4::/8' is not an IPv4 or IPv6 address"),
        ("{@: [{ipBlock: {cidr: \"1::2::3/8\"}}]}", "@[0].ipBlock.cidr '1::2::3/8' is not an IPv4 or IPv6 address"),
        ("{@: [{ipBlock: {cidr: \"fe80::-0/8\"}}]}", "@[0].ipBlock.cidr 'fe80::-0/8' is not an IPv4 or IPv6 address"),
        (
            "{@: [{ipBlock: {cidr: \"10.0.0.0\\0x/8\"}}]}",
            "@[0].ipBlock.cidr '10.0.0.0\\u{0}x/8' is not an IPv4 or IPv6 address"
        ),
        ("{@: [{ipBlock: {cidr: 10.0.0.0/33}}]}", "@[0].ipBlock.cidr '10.0.0.0/33' has a prefix length above 32"),
        ("{@: [{ipBlock: {cidr: \"::/129\"}}]}", "@[0].ipBlock.cidr '::/129' has a prefix length above 128"),
        ("{ports: [{}]}", "ports[0].port is required"),
        ("{ports: [{port: \"\"}]}", "ports[0].port must be a number or a service name, not ''"),
        ("{ports: [{port: \"0\"}]}", "ports[0].port must be between 1 and 65535, not 0"),
        ("{ports: [{port: \"65536\"}]}", "ports[0].port must be between 1 and 65535, not 65536"),
        ("{ports: [{port: \"080\"}]}", "ports[0].port must be between 1 and 65535, not 080"),
        ("{ports: [{port: \"+80\"}]}", "ports[0].port must be a number or a service name, not '+80'"),
        (
            "{ports: [{port: \"99999999999999999999\"}]}",
            "ports[0].port must be between 1 and 65535, not 99999999999999999999"
        ),
        ("{ports: [{port: \"80 443\"}]}", "ports[0].port must be a number or a service name, not '80 443'"),
        ("{ports: [{port: \"80\", endPort: 79}]}", "ports[0].endPort is below the first port"),
        ("{ports: [{port: \"80\", endPort: 65536}]}", "ports[0].endPort must be between 1 and 65535, not 65536"),
        ("{ports: [{port: \"80\", protocol: Tcp}]}", "ports[0].protocol must be TCP, UDP or SCTP, not 'Tcp'"),
        ("{ports: [{port: \"80\", protocol: icmp}]}", "ports[0].protocol must be TCP, UDP or SCTP, not 'icmp'"),
        ("{limit: \"\"}", "limit must be like 500KB, 2MB or 1GB, not ''"),
        ("{limit: KB}", "limit must be like 500KB, 2MB or 1GB, not 'KB'"),
        ("{limit: 5kb}", "limit must be like 500KB, 2MB or 1GB, not '5kb'"),
        ("{limit: 1.5G}", "limit must be like 500KB, 2MB or 1GB, not '1.5G'"),
        ("{duration: \"\"}", "duration must be like 2h, 30m or 45s, not ''"),
        ("{duration: \"30\"}", "duration must be like 2h, 30m or 45s, not '30'"),
        ("{duration: h}", "duration must be like 2h, 30m or 45s, not 'h'"),
        ("{duration: .h}", "duration must be like 2h, 30m or 45s, not '.h'"),
        ("{duration: 1.2.3h}", "duration must be like 2h, 30m or 45s, not '1.2.3h'"),
        ("{duration: -1h}", "duration must be like 2h, 30m or 45s, not '-1h'"),
        ("{duration: 1d}", "duration must be like 2h, 30m or 45s, not '1d'"),
        ("{duration: 999ms}", "duration must be at least one second, not '999ms'"),
        ("{duration: 0s}", "duration must be at least one second, not '0s'"),
        ("{severity: 11}", "severity must be between 1 and 10, not 11"),
        ("{action: block}", "action must be Allow, Audit or Block, not 'block' (did you mean 'Block'?)"),
    ])
    func refused(item: String, problem: String) {
        for (list, peers) in [("ingress", "from"), ("egress", "to")] {
            let text = SpecText(
                .network, "nodeSelector: {matchLabels: {a: b}}\n\(list): [\(item.replacing("@", with: peers))]")
            let errors = text.errors.map { $0.split(separator: " ", maxSplits: 1)[1] }
            #expect(errors == ["spec.\(list)[0].\(problem.replacing("@", with: peers))"])
            #expect(text.errors.allSatisfy { $0.hasPrefix("6:") })
        }
    }

    @Test(arguments: [
        ("Pod", "Pod"), ("pod", "Pod"), ("Policy", "Policy"), ("policy", "Policy"), ("POD", nil), ("node", nil),
        ("\"\"", nil),
    ])
    func levels(word: String, expected: String?) {
        let text = SpecText(.network, "level: \(word)\nnodeSelector: {matchLabels: {a: b}}")
        #expect(text.policy?.level == expected)
        #expect(text.errors.isEmpty == (expected != nil))
    }

    /// The definition's rules over several fields.
    @Test(arguments: [
        ("nodeSelector: {matchLabels: {a: b}}\nselector: {}", nil, []),
        (
            "selector: {matchLabels: {a: b}}\nnodeSelector: {}",
            "5:13: spec.selector and spec.nodeSelector exclude each other", []
        ),
        ("selector: {matchLabels: {a: b}}\negress: [{limit: 2MB, duration: 1h}]", nil, []),
        (
            "selector: {matchLabels: {a: b}}\negress: [{limit: 2MB, duration: 1h}, {limit: 2MB}]",
            "6:40: with spec.selector every rule needs limit and duration", []
        ),
        (
            "selector: {matchLabels: {a: b}}\ningress: [{duration: 1h}]",
            "6:13: with spec.selector every rule needs limit and duration", []
        ),
        ("nodeSelector: {matchLabels: {a: b}}\ningress: [{duration: 1h}]", nil, []),
        ("level: pod", nil, ["5:3: warning: the policy selects nothing"]),
        ("nodeSelector: {}", nil, ["5:3: warning: the policy selects nothing"]),
    ])
    func selectorsExcludeEachOther(spec: String, problem: String?, warnings: [String]) {
        let text = SpecText(.network, spec)
        #expect(text.errors == (problem.map { [$0] } ?? []))
        #expect(text.warnings == warnings)
    }
}
