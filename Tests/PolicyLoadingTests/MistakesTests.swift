import PolicyModel
import Testing

@testable import PolicyLoading

/// Each kind of mistake, and what is said about it.
@Suite("Mistakes in policies")
struct MistakesTests {
    /// The problems of a host policy whose spec has these lines, as `line:column: message`. The spec begins in line 5.
    static func problems(_ spec: String, kind: String = "KubeArmorHostPolicy") -> [String] {
        let selector = kind == "KubeArmorHostPolicy" ? "  nodeSelector: {matchLabels: {a: b}}\n" : ""
        let text =
            "apiVersion: security.kubearmor.com/v1\nkind: \(kind)\nmetadata: {name: p}\nspec:\n"
            + spec.split(separator: "\n").map { "  \($0)\n" }.joined() + selector
        return PolicyDocumentLoader().load(bytes: Array(text.utf8), file: "f").diagnostics
            .filter { $0.severity == .error }.map { String($0.description.dropFirst(2)) }
    }

    @Test(
        arguments: [
            ("unknown section", "proces: {}", ["5:3: unknown field 'proces' in spec (did you mean 'process'?)"]),
            (
                "unknown field of a rule", "file: {matchPaths: [{path: /a, recursive: true}]}",
                ["5:34: unknown field 'recursive' in spec.file.matchPaths[0]"]
            ),
            (
                "relative path", "file: {matchPaths: [{path: a/b}]}",
                ["5:30: spec.file.matchPaths[0].path 'a/b' must be an absolute path"]
            ),
            (
                "trailing slash", "file: {matchPaths: [{path: /a/}]}",
                [
                    "5:30: spec.file.matchPaths[0].path '/a/' must not end in '/' (a directory goes into matchDirectories)"
                ]
            ),
            (
                "parent", "file: {matchPaths: [{path: /a/../b}]}",
                ["5:30: spec.file.matchPaths[0].path '/a/../b' must not contain '..'"]
            ),
            (
                "directory without slash", "process: {matchDirectories: [{dir: /a}]}",
                ["5:38: spec.process.matchDirectories[0].dir '/a' must end in '/'"]
            ),
            (
                "no subject", "process: {matchPaths: [{ownerOnly: true}]}",
                ["5:26: spec.process.matchPaths[0] needs a path or an execname"]
            ),
            (
                "execname with slash", "process: {matchPaths: [{execname: a/b}]}",
                ["5:37: spec.process.matchPaths[0].execname must be a file name without '/'"]
            ),
            (
                "open bracket", "file: {matchPatterns: [{pattern: \"/a[b\"}]}",
                ["5:36: spec.file.matchPatterns[0].pattern '/a[b' has a '[' that is not closed"]
            ),
            ("number for a string", "message: 5", ["5:12: spec.message must be a string: quote 5"]),
            (
                "string for a boolean", "file: {matchPaths: [{path: /a, readOnly: \"true\"}]}",
                ["5:44: spec.file.matchPaths[0].readOnly must be true or false, not a string"]
            ),
            ("list for a mapping", "file: []", ["5:9: spec.file must be a mapping, not a list"]),
            (
                "mapping for a list", "file: {matchPaths: {path: /a}}",
                ["5:22: spec.file.matchPaths must be a list, not a mapping"]
            ),
            ("severity out of range", "severity: 11", ["5:13: spec.severity must be between 1 and 10, not 11"]),
            ("action", "action: Deny", ["5:11: spec.action must be Allow, Audit or Block, not 'Deny'"]),
            (
                "lower-case action of a section", "file: {action: block}",
                ["5:18: spec.file.action must be Allow, Audit or Block, not 'block' (did you mean 'Block'?)"]
            ),
            (
                "protocol", "network: {matchProtocols: [{protocol: xtcp, fromSource: []}]}",
                ["5:41: spec.network.matchProtocols[0].protocol 'xtcp' is not known (did you mean 'tcp'?)"]
            ),
            (
                "capability", "capabilities: {matchCapabilities: [{capability: net_rwa}]}",
                [
                    "5:51: spec.capabilities.matchCapabilities[0].capability 'net_rwa' is not known (did you mean 'net_raw'?)"
                ]
            ),
            (
                "system call", "syscalls: {matchSyscalls: [{syscall: [unlnk]}]}",
                ["5:40: spec.syscalls.matchSyscalls[0].syscall 'unlnk' is not known (did you mean 'unlink'?)"]
            ),
            ("action of system calls", "syscalls: {action: Block}", ["5:14: unknown field 'action' in spec.syscalls"]),
            ("presets of a host policy", "presets: []", ["5:3: unknown field 'presets' in spec"]),
            (
                "device", "device: {matchDevice: [{class: TOASTER}]}",
                ["5:34: spec.device.matchDevice[0].class must be a USB class name, a number, or ALL"]
            ),
            ("twice the same key", "file: {}\nfile: {}", ["5:3: the key 'file' is given more than once"]),
            (
                "several at once", "severity: 0\naction: Never\nfoo: 1",
                [
                    "5:13: spec.severity must be between 1 and 10, not 0",
                    "6:11: spec.action must be Allow, Audit or Block, not 'Never'", "7:3: unknown field 'foo' in spec",
                ]
            ),
        ] as [(String, String, [String])])
    func hostPolicies(name: String, spec: String, expected: [String]) {
        #expect(Self.problems(spec) == expected, "\(name)")
    }

    @Test(arguments: [
        ("cidr", "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/33}}]}]", "has a prefix length above 32"),
        ("address", "egress: [{to: [{ipBlock: {cidr: \"2001:db8::g/32\"}}]}]", "is not an IPv4 or IPv6 address"),
        ("port", "ingress: [{ports: [{port: \"70000\"}]}]", "must be between 1 and 65535"),
        ("range", "ingress: [{ports: [{port: \"90\", endPort: 80}]}]", "is below the first port"),
        ("protocol", "ingress: [{ports: [{port: \"80\", protocol: ICMP}]}]", "must be TCP, UDP or SCTP"),
        ("limit", "ingress: [{limit: 2TB}]", "must be like 500KB, 2MB or 1GB"),
        ("duration", "ingress: [{duration: 2 hours}]", "must be like 2h, 30m or 45s"),
        ("level", "level: Node", "spec.level must be Pod or Policy"),
        (
            "quota with a selector", "selector: {matchLabels: {a: b}}\ningress: [{limit: 2MB}]",
            "every rule needs limit and duration"
        ),
    ])
    func networkPolicies(name: String, spec: String, expected: String) {
        let problems = Self.problems(spec, kind: "KubeArmorNetworkPolicy")
        #expect(problems.count == 1 && problems.first?.contains(expected) == true, "\(name): \(problems)")
    }

    @Test func attributesAreInheritedOneByOne() throws {
        let text = """
            apiVersion: security.kubearmor.com/v1
            kind: KubeArmorPolicy
            metadata: {name: p, namespace: n}
            spec:
              severity: 2
              tags: [spec]
              message: spec message
              action: Audit
              process:
                severity: 3
                matchPaths:
                  - path: /a
                  - {path: /b, action: Block, tags: [own]}
              network:
                message: net
                matchProtocols: [{protocol: "TCP, udp"}]
              presets: [{name: exec, action: Allow}]
            """
        let result = PolicyDocumentLoader().load(bytes: Array(text.utf8), file: "f")
        let policy = try #require(result.policies.first, "\(result.diagnostics)")
        #expect(
            policy.process.map(\.attributes) == [
                RuleAttributes(severity: 3, tags: ["spec"], message: "spec message", action: .audit),
                RuleAttributes(severity: 3, tags: ["own"], message: "spec message", action: .block),
            ])
        #expect(policy.protocols.map(\.name) == [.tcp, .udp])
        #expect(policy.protocols.allSatisfy { $0.attributes.message == "net" && $0.attributes.severity == 2 })
        #expect(policy.presets.map(\.attributes.action) == [.block])
        #expect(policy.namespace == "n")
    }
}
