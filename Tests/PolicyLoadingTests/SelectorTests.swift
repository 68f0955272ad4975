import PolicyModel
import Testing

/// Section 4 of the language: whom a policy is for.
@Suite("Selectors")
struct SelectorTests {
    private static func selector(
        _ labels: [(String, String)] = [], _ expressions: [(String, Selector.Relation, [String])] = []
    ) -> Selector {
        Selector(
            labels: labels.map { .init(key: $0.0, value: $0.1) },
            expressions: expressions.map { .init(key: $0.0, relation: $0.1, values: $0.2) })
    }

    @Test(arguments: [
        (PolicyKind.container, "selector: {}", selector()),
        (
            .container, "selector: {matchLabels: {b: x, a: \"1\", c: null}}",
            selector([("a", "1"), ("b", "x"), ("c", "")])
        ),
        (
            .container, "selector: {matchLabels: {kubearmor.io/container.name: \"[c1, c2]\"}}",
            selector([("kubearmor.io/container.name", "[c1, c2]")])
        ),
        (
            .container,
            "selector: {matchLabels: {a: b}, matchExpressions: [{key: label, operator: In, values: [a=b, c=d]}, {key: label, operator: NotIn, values: [e=f]}]}",
            selector([("a", "b")], [("label", .isIn, ["a=b", "c=d"]), ("label", .isNotIn, ["e=f"])])
        ),
        (.container, "severity: 1", selector()),
        (
            .cluster,
            "selector: {matchExpressions: [{key: namespace, operator: NotIn, values: [kube-system]}, {key: label, operator: In}]}",
            selector([], [("namespace", .isNotIn, ["kube-system"]), ("label", .isIn, [])])
        ),
        (.cluster, "severity: 1", selector()),
        (
            .host, "nodeSelector: {matchLabels: {kubearmor.io/hostname: \"*\"}}",
            selector([("kubearmor.io/hostname", "*")])
        ),
        (
            .host,
            "nodeSelector: {matchExpressions: [{key: zone, operator: Exists}, {key: os, operator: DoesNotExist}, {key: a, operator: In, values: [b]}]}",
            selector([], [("zone", .exists, []), ("os", .doesNotExist, []), ("a", .isIn, ["b"])])
        ),
        (.network, "nodeSelector: {matchLabels: {a: b}}", selector([("a", "b")])),
        (.network, "selector: {matchLabels: {a: b}}", selector([("a", "b")])),
    ])
    func values(kind: PolicyKind, spec: String, expected: Selector) {
        let text = SpecText(kind, spec)
        #expect(text.policy?.selector == expected, "\(text.result.diagnostics)")
        #expect(text.warnings.isEmpty)
    }

    @Test(arguments: [
        (PolicyKind.host, "nodeSelector: null", ["5:3: spec.nodeSelector is required"]),
        (.container, "selector: {matchLabels: {a: 5}}", ["5:31: the label 'a' must be a string: quote 5"]),
        (.container, "selector: {matchLabels: {a: yes}}", ["5:31: the label 'a' must be a string: quote yes"]),
        (.container, "selector: {matchLabels: {a: [b]}}", ["5:31: the label 'a' must be a string, not a list"]),
        (.container, "selector: {matchLabels: {a: b, a: c}}", ["5:28: the key 'a' is given more than once"]),
        (
            .container, "selector: {matchExpressions: [{operator: In}]}",
            ["5:33: spec.selector.matchExpressions[0].key is required"]
        ),
        (
            .container, "selector: {matchExpressions: [{key: label}]}",
            ["5:33: spec.selector.matchExpressions[0].operator is required"]
        ),
        (
            .container, "selector: {matchExpressions: [{key: namespace, operator: In}]}",
            ["5:39: spec.selector.matchExpressions[0].key must be label, not 'namespace'"]
        ),
        (
            .cluster, "selector: {matchExpressions: [{key: app, operator: In}]}",
            ["5:39: spec.selector.matchExpressions[0].key must be namespace or label, not 'app'"]
        ),
        (
            .cluster, "selector: {matchExpressions: [{key: label, operator: Exists}]}",
            ["5:56: spec.selector.matchExpressions[0].operator must be In or NotIn, not 'Exists'"]
        ),
        (
            .container, "selector: {matchExpressions: [{key: label, operator: in}]}",
            ["5:56: spec.selector.matchExpressions[0].operator must be In or NotIn, not 'in'"]
        ),
    ])
    func refused(kind: PolicyKind, spec: String, problems: [String]) {
        #expect(SpecText(kind, spec).errors == problems)
    }

    /// Such a policy is for no node (section 4); that nobody notices would be worse than a message.
    @Test(arguments: ["nodeSelector: {}", "nodeSelector: {matchLabels: {}}", "nodeSelector: {matchLabels: null}"])
    func anEmptyNodeSelectorIsWarnedAbout(spec: String) {
        let text = SpecText(.host, spec)
        #expect(text.policy?.selector == Selector())
        #expect(text.warnings == ["5:17: warning: spec.nodeSelector selects no node: it is empty"])
    }
}
