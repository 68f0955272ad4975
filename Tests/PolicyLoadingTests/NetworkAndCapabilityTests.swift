import PolicyModel
import Testing

/// Sections 3.3 and 3.4 of the language: what each field becomes, and which values it refuses.
@Suite("Network and capabilities sections")
struct NetworkAndCapabilityTests {
    @Test(arguments: SpecText.ruleKinds)
    func everyProtocolInBothCases(kind: PolicyKind) {
        let names = [
            "tcp", "udp", "raw", "icmp", "icmpv6", "sctp", "stream", "dgram", "rdm", "seqpacket", "dccp", "packet",
            "all",
        ]
        for name in names {
            let expected = ProtocolName(rawValue: name).map { [ProtocolRule($0)] } ?? []
            for word in [name, name.uppercased()] {
                let text = SpecText(kind, "network: {matchProtocols: [{protocol: \(word)}]}")
                #expect(text.policy == text.empty { $0.protocols = expected }, "\(text.result.diagnostics)")
            }
        }
    }

    @Test(arguments: [
        ("tcp,udp", [ProtocolName.tcp, .udp]), ("TCP, udp ,  Raw", []), ("tcp, UDP , icmp", [.tcp, .udp, .icmp]),
        ("tcp", [.tcp]),
    ])
    func commasMakeOneRuleEach(text: String, names: [ProtocolName]) {
        let spec = SpecText(
            .container,
            "network: {matchProtocols: [{protocol: raw}, {protocol: \"\(text)\", pts: false, action: Audit, fromSource: [{path: /b}]}]}"
        )
        let attributes = RuleAttributes(action: .audit)
        let rules = names.map { ProtocolRule($0, pts: false, from: ["/b"], attributes) }
        // Upstream looks at the first item only; here every item is expanded.
        if names.isEmpty {
            #expect(spec.policy == nil)
        } else {
            #expect(spec.policy == spec.empty { $0.protocols = [ProtocolRule(.raw)] + rules })
        }
    }

    @Test(arguments: [
        ("google.com", ["google.com"]), (".google.com.", ["google.com"]), ("a.b, c.d", ["a.b", "c.d"]),
        ("localhost", ["localhost"]), ("Mixed.Case", ["Mixed.Case"]),
        (String(repeating: "x", count: 63) + ".y", [String(repeating: "x", count: 63) + ".y"]),
    ])
    func domains(text: String, domains: [String]) {
        for kind in SpecText.ruleKinds {
            let spec = SpecText(kind, "network: {matchDNSQueries: [{domain: \"\(text)\", fromSource: [{path: /b}]}]}")
            #expect(spec.policy == spec.empty { $0.dns = domains.map { DNSRule($0, from: ["/b"]) } })
        }
    }

    @Test(arguments: SpecText.ruleKinds)
    func everyCapability(kind: PolicyKind) {
        // The kernel's order, include/uapi/linux/capability.h.
        let names = [
            "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
            "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
            "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
            "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
            "mac_override", "mac_admin",
        ]
        let rules = names.enumerated().map { CapabilityRule(UInt8($0.offset), $0.element, from: ["/b"]) }
        for words in [names, names.map { "cap_\($0)" }] {
            let list = words.map { "{capability: \($0), fromSource: [{path: /b}]}" }.joined(separator: ", ")
            let spec = SpecText(kind, "capabilities: {matchCapabilities: [\(list)]}")
            #expect(spec.policy == spec.empty { $0.capabilities = rules })
            // The same in one item.
            let one = SpecText(
                kind,
                "capabilities: {matchCapabilities: [{capability: \"\(words.joined(separator: ", "))\", fromSource: [{path: /b}]}]}"
            )
            #expect(one.policy == spec.policy)
        }
    }

    @Test(arguments: [
        ("network: {matchProtocols: [{}]}", "5:30: spec.network.matchProtocols[0].protocol is required"),
        (
            "network: {matchProtocols: [{protocol: xtcp}]}",
            "5:41: spec.network.matchProtocols[0].protocol 'xtcp' is not known (did you mean 'tcp'?)"
        ),
        (
            "network: {matchProtocols: [{protocol: Tcp}]}",
            "5:41: spec.network.matchProtocols[0].protocol 'Tcp' is not known (did you mean 'tcp'?)"
        ),
        (
            "network: {matchProtocols: [{protocol: http2quic}]}",
            "5:41: spec.network.matchProtocols[0].protocol 'http2quic' is not known"
        ),
        (
            "network: {matchProtocols: [{protocol: \"\"}]}",
            "5:41: spec.network.matchProtocols[0].protocol '' is not known"
        ),
        (
            "network: {matchProtocols: [{protocol: \"tcp,\"}]}",
            "5:41: spec.network.matchProtocols[0].protocol '' is not known"
        ),
        ("network: {matchDNSQueries: [{}]}", "5:31: spec.network.matchDNSQueries[0].domain is required"),
        (
            "network: {matchDNSQueries: [{domain: \"\"}]}",
            "5:40: spec.network.matchDNSQueries[0].domain is not a domain name"
        ),
        (
            "network: {matchDNSQueries: [{domain: \"...\"}]}",
            "5:40: spec.network.matchDNSQueries[0].domain is not a domain name"
        ),
        (
            "network: {matchDNSQueries: [{domain: a..b}]}",
            "5:40: spec.network.matchDNSQueries[0].domain is not a domain name"
        ),
        (
            "network: {matchDNSQueries: [{domain: \"a\\tb\"}]}",
            "5:40: spec.network.matchDNSQueries[0].domain is not a domain name"
        ),
        (
            "network: {matchDNSQueries: [{domain: \(String(repeating: "x", count: 64)).y}]}",
            "5:40: spec.network.matchDNSQueries[0].domain is not a domain name"
        ),
        (
            "network: {matchDNSQueries: [{domain: \(String(repeating: "a.", count: 126))bc}]}",
            "5:40: spec.network.matchDNSQueries[0].domain is not a domain name"
        ),
        (
            "capabilities: {matchCapabilities: [{}]}",
            "5:38: spec.capabilities.matchCapabilities[0].capability is required"
        ),
        (
            "capabilities: {matchCapabilities: [{capability: syslog}]}",
            "5:51: spec.capabilities.matchCapabilities[0].capability 'syslog' is not known"
        ),
        (
            "capabilities: {matchCapabilities: [{capability: CAP_KILL}]}",
            "5:51: spec.capabilities.matchCapabilities[0].capability 'CAP_KILL' is not known"
        ),
        (
            "capabilities: {matchCapabilities: [{capability: xchown}]}",
            "5:51: spec.capabilities.matchCapabilities[0].capability 'xchown' is not known (did you mean 'chown'?)"
        ),
        (
            "capabilities: {matchCapabilities: [{capability: kill, fromSource: [{path: b}]}]}",
            "5:77: spec.capabilities.matchCapabilities[0].fromSource[0].path 'b' must be an absolute path"
        ),
    ])
    func refused(spec: String, problem: String) {
        for kind in SpecText.ruleKinds { #expect(SpecText(kind, spec).errors == [problem], "\(kind)") }
    }

    /// The host kind's definition asks for a list of sources here; what a rule without one means is clear all the same.
    @Test func aHostRuleNeedsNoSource() {
        let text = SpecText(
            .host,
            "network: {matchProtocols: [{protocol: udp}]}\ncapabilities: {matchCapabilities: [{capability: kill}]}")
        #expect(
            text.policy
                == text.empty {
                    $0.protocols = [ProtocolRule(.udp)]
                    $0.capabilities = [CapabilityRule(5, "kill")]
                })
    }
}
