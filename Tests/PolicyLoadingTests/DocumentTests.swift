import PolicyModel
import Testing

@testable import PolicyLoading

/// Section 1 of the language, and what a file may hold: kinds, metadata, several documents, JSON.
@Suite("Documents")
struct DocumentTests {
    private static func load(_ text: String) -> LoadResult {
        PolicyDocumentLoader().load(bytes: Array(text.utf8), file: "f")
    }

    private static func problems(_ text: String) -> [String] { load(text).diagnostics.map(\.description) }

    private static func document(
        version: String = "security.kubearmor.com/v1", kind: String = "KubeArmorPolicy", metadata: String = "{name: p}"
    ) -> String {
        "apiVersion: \(version)\nkind: \(kind)\nmetadata: \(metadata)\nspec: {}\n"
    }

    @Test func theFourKinds() {
        let names = [
            "KubeArmorPolicy": PolicyKind.container, "KubeArmorHostPolicy": .host, "KubeArmorClusterPolicy": .cluster,
            "KubeArmorNetworkPolicy": .network,
        ]
        for (name, kind) in names {
            let text = Self.document(kind: name).replacing(
                "{}", with: "{severity: 1, nodeSelector: {matchLabels: {a: b}}}")
            let fitting = kind == .host || kind == .network ? text : Self.document(kind: name)
            #expect(Self.load(fitting).policies.map(\.kind) == [kind], "\(Self.problems(fitting))")
        }
    }

    @Test(arguments: [
        ("", ["f:1:1: there is no policy in the file"]), ("# only\n", ["f:1:1: there is no policy in the file"]),
        ("---\n...\n---\n", ["f:1:1: there is no policy in the file"]),
        ("null", ["f:1:1: there is no policy in the file"]),
        ("word", ["f:1:1:  must be a mapping, not a string"]), ("- a", ["f:1:1:  must be a mapping, not a list"]),
        ("{}", ["f:1:1: apiVersion is required", "f:1:1: kind is required"]),
        (document(version: "v1"), ["f:1:13: apiVersion must be security.kubearmor.com/v1, not 'v1'"]),
        (
            document(version: "security.kubearmor.com/v2"),
            ["f:1:13: apiVersion must be security.kubearmor.com/v1, not 'security.kubearmor.com/v2'"]
        ),
        (
            document(kind: "KubeArmorHostPolicies"),
            ["f:2:7: kind 'KubeArmorHostPolicies' is not known (did you mean 'KubeArmorHostPolicy'?)"]
        ),
        (document(kind: "List"), ["f:2:7: kind 'List' is not known"]),
        (document(metadata: "{}"), ["f:3:11: metadata.name is required"]),
        (document(metadata: "null"), ["f:1:1: metadata is required"]),
        (document(metadata: "[p]"), ["f:3:11: metadata must be a mapping, not a list"]),
        (document(metadata: "{name: p, nam: q}"), ["f:3:21: unknown field 'nam' in metadata (did you mean 'name'?)"]),
        (document(metadata: "{name: 5}"), ["f:3:18: metadata.name must be a string: quote 5"]),
        (document(metadata: "{name: p, namespace: [n]}"), ["f:3:32: metadata.namespace must be a string, not a list"]),
        (
            "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {name: p}\n",
            ["f:1:1: spec is required"]
        ),
        (document() + "spek: {}\n", ["f:5:1: unknown field 'spek' (did you mean 'spec'?)"]),
        (document() + "spec: {}\n", ["f:4:1: the key 'spec' is given more than once"]),
        (document() + "status: {status: ok}\n", []),
        (document(metadata: "{name: p, labels: {a: b}, annotations: {c: d}, uid: x, resourceVersion: \"1\"}"), []),
    ])
    func topLevel(text: String, expected: [String]) {
        #expect(Self.problems(text) == expected)
        #expect(Self.load(text).policies.isEmpty == !expected.isEmpty)
    }

    @Test(arguments: [
        "", "-a", "a-", "A", "a b", "a/b", "a..b", "../a", "a\\u0000", String(repeating: "a", count: 254),
    ])
    func namesThatAreNone(name: String) {
        let problems = Self.problems(Self.document(metadata: "{name: \"\(name)\"}"))
        #expect(problems.count == 1 && problems[0].hasPrefix("f:3:18: metadata.name '") == true, "\(problems)")
    }

    @Test(arguments: ["-a", "A", "a.b", "a/b", "..", String(repeating: "a", count: 64)])
    func namespacesThatAreNone(name: String) {
        let problems = Self.problems(Self.document(metadata: "{name: p, namespace: \"\(name)\"}"))
        #expect(problems.count == 1 && problems[0].hasPrefix("f:3:32: metadata.namespace '") == true, "\(problems)")
    }

    @Test func namesAndNamespaces() {
        let long = String(repeating: "a", count: 253)
        for (metadata, name, namespace) in [
            ("{name: a-1.b}", "a-1.b", nil), ("{name: \(long)}", long, nil), ("{name: p, namespace: n-1}", "p", "n-1"),
            ("{name: p, namespace: \"\"}", "p", nil), ("{name: p, namespace: null}", "p", nil),
        ] as [(String, String, String?)] {
            let policy = Self.load(Self.document(metadata: metadata)).policies.first
            #expect(policy?.name == name && policy?.namespace == namespace)
        }
        let cluster = Self.load(Self.document(kind: "KubeArmorClusterPolicy", metadata: "{name: p, namespace: n}"))
        #expect(cluster.policies.map(\.namespace) == [nil])
        #expect(
            cluster.diagnostics.map(\.description) == [
                "f:3:32: warning: metadata.namespace has no effect: KubeArmorClusterPolicy is cluster-scoped"
            ])
    }

    // MARK: - Several documents

    @Test func documentsAreReadInOrderAndEmptyOnesLeftOut() {
        let first = Self.document(metadata: "{name: one}")
        let second = Self.document(metadata: "{name: two}")
        for text in [
            "\(first)---\n\(second)", "---\n\(first)...\n---\n# nothing\n---\n\(second)---\n",
            "\u{FEFF}\(first)---\r\n\(second)", "%YAML 1.1\n---\n\(first)---\n\(second)",
        ] {
            let result = Self.load(text)
            #expect(result.policies.map(\.name) == ["one", "two"], "\(result.diagnostics)")
            #expect((result.policies.last?.position.line ?? 0) > 5)
        }
    }

    @Test func oneBadDocumentRefusesTheFile() {
        let text = Self.document() + "---\n" + Self.document(kind: "Pod")
        #expect(Self.problems(text) == ["f:7:7: kind 'Pod' is not known"])
        #expect(Self.load(text).policies.isEmpty)
    }

    // MARK: - JSON

    @Test func jsonMeansTheSame() {
        let text = """
            {"apiVersion":"security.kubearmor.com/v1","kind":"KubeArmorPolicy","metadata":{"name":"p","namespace":"n"},
            \t"spec":{"severity":5,"tags":["\\u0041","a\\/b"],"message":"tab\\tü","process":{"matchPaths":[
            \t\t{"path":"/bin/ls","ownerOnly":true,"pts":null,"fromSource":[{"path":"/bin/sh"}]}]},"action":"Audit"}}
            """
        let result = Self.load(text)
        let attributes = RuleAttributes(severity: 5, tags: ["A", "a/b"], message: "tab\tü", action: .audit)
        #expect(result.diagnostics.isEmpty)
        let policy = result.policies.first
        #expect(policy?.attributes == attributes && policy?.namespace == "n")
        #expect(policy?.process.map(\.subject) == [.path("/bin/ls")])
        #expect(policy?.process.first?.position == SourcePosition(file: "f", line: 3, column: 3))
        #expect(policy?.process.first?.ownerOnly == true && policy?.process.first?.sources == ["/bin/sh"])
    }

    @Test(arguments: [
        ("{\"a\": 1, \"a\": 2}", "f:1:2: the key 'a' is given more than once"),
        ("{\"a\": }", "f:1:1: apiVersion is required"),
        ("{\"a\": [1, 2}", "f:1:12: not YAML: did not find expected ',' or ']'"),
        ("{\"a\": \"\\ud83d\\ude00\"}", "f:1:10: not YAML: found invalid Unicode character escape code"),
    ])
    func brokenJSON(text: String, expected: String) {
        #expect(Self.problems(text).first == expected)
    }

    // MARK: - YAML that is left out, and YAML that is not

    @Test(arguments: [
        ("a: &x b", "f:1:4: anchors and aliases are not permitted"),
        ("a: !!int 5", "f:1:4: the tag 'tag:yaml.org,2002:int' is not permitted"),
        ("a: !mine b", "f:1:4: the tag '!mine' is not permitted"),
        ("<<: {a: b}", "f:1:1: merge keys are not permitted"),
        ("? [a]\n: b", "f:1:3: a key must be a string"), ("a: b\u{0}", "f:1:5: a NUL byte is not permitted"),
        ("\ta: b", "f:1:1: not YAML: a tab where only spaces are permitted"),
    ])
    func refusedYAML(text: String, expected: String) {
        #expect(Self.problems(text) == [expected])
    }

    @Test(arguments: [
        ("kind: A\t# comment", 8), ("kind: A \t", 9), ("kind:\tA", 6), ("a: b\tc", 5), ("- \ta", 3),
        ("a: 'b' \t# c", 8), ("a: |\t# c", 5),
    ])
    func tabsBetweenTokens(text: String, column: Int) {
        #expect(Self.problems("x: y\n" + text) == ["f:2:\(column): not YAML: a tab where only spaces are permitted"])
    }

    @Test func tabsInTextsAreTexts() {
        let text = """
            apiVersion: security.kubearmor.com/v1
            kind: KubeArmorPolicy # a\tcomment
            metadata: {\tname: p\t}
            spec:
              message: "one\ttwo" # 'not\ta quote
              apparmor: |
                /etc/** r,
                \tdeny /x w,
            """
        let policy = Self.load(text).policies.first
        #expect(policy?.name == "p" && policy?.attributes.message == "one\ttwo", "\(Self.problems(text))")
        #expect(policy?.apparmor == "/etc/** r,\n\tdeny /x w,")
    }

    @Test func appArmorTextIsKeptForAllThatHaveIt() {
        for kind in SpecText.ruleKinds {
            let text = SpecText(kind, "apparmor: /etc/** r,")
            #expect(text.policy == text.empty { $0.apparmor = "/etc/** r," })
        }
    }

    /// A rule stands where its item begins: alerts and gaps name that place.
    @Test func rulesStandWhereTheirItemsBegin() {
        let spec = """
            process:
              matchPaths:
                - path: /a
                - {path: /b}
            file:
              matchDirectories: [{dir: /a/}, {dir: /b/}]
            network:
              matchProtocols:
                -   protocol: "tcp,udp"
              matchDNSQueries:
              - domain: a.b
            capabilities: {matchCapabilities: [{capability: kill}]}
            syscalls:
              matchSyscalls:
                - severity: 1
                  syscall: [read]
            device:
              matchDevice:
                # a comment
                - class: ALL
            """
        let policy = SpecText(.host, spec).result.policies.first
        #expect(policy?.position.description == "f:1:1")
        #expect(policy?.process.map(\.position.description) == ["f:7:9", "f:8:9"])
        #expect(policy?.file.map(\.position.description) == ["f:10:24", "f:10:36"])
        #expect(policy?.protocols.map(\.position.description) == ["f:13:11", "f:13:11"])
        #expect(policy?.dns.map(\.position.description) == ["f:15:7"])
        #expect(policy?.capabilities.map(\.position.description) == ["f:16:38"])
        #expect(policy?.syscalls.map(\.position.description) == ["f:19:9"])
        #expect(policy?.devices.map(\.position.description) == ["f:24:9"])
    }
}
