import PolicyModel
import Testing

/// Section 2 of the language: severity, tags, message and action come from the rule, else its section, else the spec, each
/// by itself.
@Suite("Inheritance")
struct InheritanceTests {
    /// A list of each section with one item, `@` where fields of the item and `#` where those of the section stand, and
    /// the attributes of its rule.
    struct List: Sendable, CustomStringConvertible {
        let description: String
        let kinds: [PolicyKind]
        let attributes: @Sendable (Policy) -> RuleAttributes?

        init(
            _ text: String, _ kinds: [PolicyKind] = SpecText.ruleKinds,
            _ attributes: @escaping @Sendable (Policy) -> RuleAttributes?
        ) {
            description = text
            self.kinds = kinds
            self.attributes = attributes
        }
    }

    static let lists: [List] = [
        List("process: {#matchPaths: [{@path: /a}]}") { $0.process.first?.attributes },
        List("process: {#matchPaths: [{@execname: a}]}") { $0.process.first?.attributes },
        List("process: {#matchDirectories: [{@dir: /a/}]}") { $0.process.first?.attributes },
        List("process: {#matchPatterns: [{@pattern: /a*}]}") { $0.process.first?.attributes },
        List("file: {#matchPaths: [{@path: /a}]}") { $0.file.first?.attributes },
        List("file: {#matchDirectories: [{@dir: /a/}]}") { $0.file.first?.attributes },
        List("file: {#matchPatterns: [{@pattern: /a*}]}") { $0.file.first?.attributes },
        List("network: {#matchProtocols: [{@protocol: \"udp,tcp\"}]}") { $0.protocols.last?.attributes },
        List("network: {#matchDNSQueries: [{@domain: \"a.b,c.d\"}]}") { $0.dns.last?.attributes },
        List("capabilities: {#matchCapabilities: [{@capability: \"kill,lease\"}]}") {
            $0.capabilities.last?.attributes
        },
        List("device: {#matchDevice: [{@class: ALL}]}", [.host]) { $0.devices.first?.attributes },
    ]

    private static let all = RuleAttributes(severity: 2, tags: ["s"], message: "sm", action: .allow)
    private static let spec = "severity: 2\ntags: [s]\nmessage: sm\naction: Allow\n"
    private static let section = "severity: 3, tags: [t, u], message: tm, action: Audit, "
    private static let item = "severity: 4, tags: [v], message: vm, action: Block, "

    @Test(arguments: lists)
    func eachLevelOverridesTheOneAbove(list: List) {
        for kind in list.kinds {
            func attributes(_ spec: String, _ section: String, _ item: String) -> RuleAttributes? {
                let text = list.description.replacing("#", with: section).replacing("@", with: item)
                return SpecText(kind, spec + text).policy.flatMap(list.attributes)
            }
            let ofSection = RuleAttributes(severity: 3, tags: ["t", "u"], message: "tm", action: .audit)
            let ofItem = RuleAttributes(severity: 4, tags: ["v"], message: "vm", action: .block)
            #expect(attributes("", "", "") == RuleAttributes(), "nothing written: Block")
            #expect(attributes(Self.spec, "", "") == Self.all)
            #expect(attributes(Self.spec, Self.section, "") == ofSection)
            #expect(attributes("", Self.section, "") == ofSection)
            #expect(attributes(Self.spec, Self.section, Self.item) == ofItem)
            #expect(attributes(Self.spec, "", Self.item) == ofItem)
            // Field by field, and empty ones are not written ones.
            let mixed = RuleAttributes(severity: 3, tags: ["v"], message: "sm", action: .block)
            #expect(
                attributes(Self.spec, "severity: 3, tags: [], message: \"\", ", "tags: [v], action: Block, ") == mixed)
        }
    }

    /// What inherits from the spec alone (NSP), or not everything (system calls).
    @Test func otherSections() {
        let section = RuleAttributes(severity: 3, tags: ["t"], message: "sm", action: .audit)
        for list in ["matchSyscalls: [{syscall: [read]}]", "matchPaths: [{path: /a, syscall: [read]}]"] {
            let text = SpecText(.cluster, Self.spec + "syscalls: {severity: 3, tags: [t], \(list)}")
            #expect(text.policy?.syscalls.map(\.attributes) == [section])
        }
        let items = "[{limit: 1G}, {severity: 4, tags: [v], message: vm, action: Block}]"
        let text = SpecText(
            .network, Self.spec + "nodeSelector: {matchLabels: {a: b}}\ningress: \(items)\negress: \(items)")
        let own = RuleAttributes(severity: 4, tags: ["v"], message: "vm", action: .block)
        #expect(text.policy?.ingress.map(\.attributes) == [Self.all, own])
        #expect(text.policy?.egress.map(\.attributes) == [Self.all, own])
    }

    @Test(arguments: PolicyKind.allCases)
    func theSpecsOwnAttributes(kind: PolicyKind) {
        let words = [
            ("", RuleAction.block), ("action: Allow", .allow), ("action: Audit", .audit), ("action: Block", .block),
            ("action: allow", .allow), ("action: audit", .audit), ("action: block", .block),
        ]
        for (line, action) in words {
            let text = SpecText(kind, "severity: 10\ntags: [a, \"b,c\"]\nmessage: m\n\(line)")
            let wanted = RuleAttributes(severity: 10, tags: ["a", "b,c"], message: "m", action: action)
            #expect(text.policy?.attributes == wanted, "\(line)")
        }
        for line in ["action: BLOCK", "action: Deny", "action: \"\"", "severity: 0", "severity: 11", "severity: -1"] {
            #expect(SpecText(kind, line).errors.count == 1, "\(line)")
        }
    }
}
