import PolicyModel

@testable import PolicyLoading

/// A policy of one kind, written as the lines of its spec, so that a test is a table.
struct SpecText {
    let kind: PolicyKind
    let spec: String

    /// The kinds with process, file, network, capabilities and syscalls sections.
    static let ruleKinds: [PolicyKind] = [.container, .host, .cluster]

    /// The whole document; the spec begins in line 5 with an indentation of two. Host policies get a selector at the end.
    var document: String {
        let selector =
            kind == .host && !spec.contains("nodeSelector") ? "  nodeSelector: {matchLabels: {a: b}}\n" : ""
        return "apiVersion: security.kubearmor.com/v1\nkind: \(kind.rawValue)\nmetadata: {name: p}\nspec:\n"
            + spec.split(separator: "\n").map { "  \($0)\n" }.joined() + selector
    }

    init(_ kind: PolicyKind, _ spec: String) {
        self.kind = kind
        self.spec = spec
    }

    var result: LoadResult { PolicyDocumentLoader().load(bytes: Array(document.utf8), file: "f") }

    /// Errors as `line:column: message`.
    var errors: [String] {
        result.diagnostics.filter { $0.severity == .error }.map { String($0.description.dropFirst(2)) }
    }

    /// Warnings as `line:column: warning: message`.
    var warnings: [String] {
        result.diagnostics.filter { $0.severity == .warning }.map { String($0.description.dropFirst(2)) }
    }

    /// The policy with every position the same, for comparison; `nil` when it is refused.
    var policy: Policy? {
        let result = result
        guard var policy = result.policies.first, result.policies.count == 1 else { return nil }
        let here = Self.here
        policy.position = here
        for index in policy.process.indices { policy.process[index].position = here }
        for index in policy.file.indices { policy.file[index].position = here }
        for index in policy.protocols.indices { policy.protocols[index].position = here }
        for index in policy.dns.indices { policy.dns[index].position = here }
        for index in policy.capabilities.indices { policy.capabilities[index].position = here }
        for index in policy.syscalls.indices { policy.syscalls[index].position = here }
        for index in policy.presets.indices { policy.presets[index].position = here }
        for index in policy.devices.indices { policy.devices[index].position = here }
        for index in policy.ingress.indices { policy.ingress[index].position = here }
        for index in policy.egress.indices { policy.egress[index].position = here }
        return policy
    }

    static let here = SourcePosition(file: "f", line: 1, column: 1)

    /// What the spec says when nothing is written: Block, no severity, no tags, no message.
    func empty(_ change: (inout Policy) -> Void = { _ in }) -> Policy {
        var policy = Policy(kind: kind, name: "p", position: Self.here)
        if kind == .host { policy.selector.labels = [.init(key: "a", value: "b")] }
        change(&policy)
        return policy
    }
}

extension ProcessRule {
    /// A rule as the loader makes it of the fields named here.
    init(
        _ subject: PathSubject, args: [String] = [], owner: Bool = false, pts: Bool? = nil, from: [String] = [],
        _ attributes: RuleAttributes = RuleAttributes()
    ) {
        self.init(subject: subject, attributes: attributes, position: SpecText.here)
        allowedArguments = args
        ownerOnly = owner
        terminal = pts
        sources = from
    }
}

extension FileRule {
    /// A rule as the loader makes it of the fields named here.
    init(
        _ subject: PathSubject, readOnly: Bool = false, owner: Bool = false, pts: Bool? = nil, from: [String] = [],
        _ attributes: RuleAttributes = RuleAttributes()
    ) {
        self.init(subject: subject, attributes: attributes, position: SpecText.here)
        self.readOnly = readOnly
        ownerOnly = owner
        terminal = pts
        sources = from
    }
}

extension ProtocolRule {
    /// A rule as the loader makes it of the fields named here.
    init(
        _ name: ProtocolName, pts: Bool? = nil, from: [String] = [], _ attributes: RuleAttributes = RuleAttributes()
    ) {
        self.init(name: name, attributes: attributes, position: SpecText.here)
        terminal = pts
        sources = from
    }
}

extension DNSRule {
    /// A rule as the loader makes it of the fields named here.
    init(_ domain: String, from: [String] = [], _ attributes: RuleAttributes = RuleAttributes()) {
        self.init(domain: domain, attributes: attributes, position: SpecText.here)
        sources = from
    }
}

extension CapabilityRule {
    /// A rule as the loader makes it of the fields named here.
    init(
        _ number: UInt8, _ name: String, from: [String] = [], _ attributes: RuleAttributes = RuleAttributes()
    ) {
        self.init(capability: number, name: name, attributes: attributes, position: SpecText.here)
        sources = from
    }
}

extension SyscallRule {
    /// A rule as the loader makes it of the fields named here.
    init(_ names: [String], path: String? = nil, recursive: Bool = false, from: [Source] = [], severity: Int = 0) {
        self.init(
            syscalls: names, path: path, attributes: RuleAttributes(severity: severity, action: .audit),
            position: SpecText.here)
        self.recursive = recursive
        sources = from
    }
}
