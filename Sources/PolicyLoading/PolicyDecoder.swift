import PolicyModel

/// Turns one document into a policy, collecting every problem on the way.
struct PolicyDecoder {
    let sink: DiagnosticSink
    let limits: LoadingLimits

    /// `nil` when the document cannot be a policy; problems are in the sink in any case.
    func decode(_ tree: DocumentTree) -> Policy? {
        guard let top = FieldReader(tree, path: "", sink: sink) else { return nil }
        top.finish(["apiVersion", "kind", "metadata", "spec", "status"])
        if let version = top.string("apiVersion", required: true), version != "security.kubearmor.com/v1" {
            sink.error(top.position(of: "apiVersion"), "apiVersion must be security.kubearmor.com/v1, not '\(version)'")
        }
        guard let kindName = top.string("kind", required: true) else { return nil }
        guard let kind = PolicyKind(rawValue: kindName) else {
            let hint = Spelling.hint(kindName, in: PolicyKind.allCases.map(\.rawValue))
            sink.error(top.position(of: "kind"), "kind '\(kindName)' is not known\(hint)")
            return nil
        }
        let (name, namespace) = metadata(top, kind)
        guard let spec = top.reader("spec") else {
            if top.value("spec") == nil { sink.error(top.position, "spec is required") }
            return nil
        }
        var policy = Policy(
            kind: kind, name: name, namespace: namespace, attributes: attributes(of: spec), position: tree.position)
        decodeSpec(spec, &policy)
        let count =
            policy.process.count + policy.file.count + policy.protocols.count + policy.dns.count
            + policy.capabilities.count + policy.syscalls.count + policy.ingress.count + policy.egress.count
            + policy.devices.count + policy.presets.count
        if count > limits.rules {
            sink.error(tree.position, "the policy has \(count) rules, more than \(limits.rules)")
        }
        return policy
    }

    // MARK: - Metadata

    private func metadata(_ top: FieldReader, _ kind: PolicyKind) -> (String, String?) {
        guard let metadata = top.reader("metadata") else {
            if top.value("metadata") == nil { sink.error(top.position, "metadata is required") }
            return ("", nil)
        }
        metadata.finish([
            "name", "namespace", "labels", "annotations", "uid", "resourceVersion", "generation", "creationTimestamp",
            "deletionTimestamp", "deletionGracePeriodSeconds", "finalizers", "ownerReferences", "managedFields",
            "generateName", "selfLink",
        ])
        let name = metadata.string("name", required: true)
        if let name, !FieldRules.isSubdomain(name) {
            sink.error(
                metadata.position(of: "name"),
                "metadata.name '\(name)' must consist of lower-case letters, digits, '-' and '.'")
        }
        let namespace = metadata.string("namespace")
        if kind != .container, namespace != nil {
            sink.warning(
                metadata.position(of: "namespace"),
                "metadata.namespace has no effect: \(kind.rawValue) is cluster-scoped")
            return (name ?? "", nil)
        }
        if let namespace, !namespace.isEmpty, !FieldRules.isLabel(namespace) {
            sink.error(
                metadata.position(of: "namespace"),
                "metadata.namespace '\(namespace)' must consist of at most 63 lower-case letters, digits and '-'")
        }
        return (name ?? "", namespace == "" ? nil : namespace)
    }

    // MARK: - Spec

    private static let sections: [PolicyKind: [String]] = [
        .container: ["selector", "process", "file", "network", "capabilities", "syscalls", "presets", "apparmor"],
        .cluster: ["selector", "process", "file", "network", "capabilities", "syscalls", "presets", "apparmor"],
        .host: ["nodeSelector", "process", "file", "network", "capabilities", "syscalls", "device", "apparmor"],
        .network: ["selector", "nodeSelector", "ingress", "egress", "level"],
    ]

    private func decodeSpec(_ spec: FieldReader, _ policy: inout Policy) {
        let sections = Self.sections[policy.kind] ?? []
        spec.finish(sections + ["severity", "tags", "message", "action"])
        policy.selector = SelectorDecoder(sink: sink).decode(spec, policy.kind)
        policy.selectsNodes = policy.kind == .host
        policy.attributes.action = action(of: spec, lowerCase: true) ?? .block
        let inherited = policy.attributes
        let rules = RuleDecoder(sink: sink, kind: policy.kind)
        if policy.kind == .network {
            let network = NetworkPolicyDecoder(sink: sink)
            policy.ingress = network.rules(spec, "ingress", peers: "from", inherited)
            policy.egress = network.rules(spec, "egress", peers: "to", inherited)
            policy.level = network.level(spec)
            policy.selectsNodes = spec.value("nodeSelector") != nil
            network.checkSelectors(spec, policy)
            return
        }
        if let section = spec.reader("process") { policy.process = rules.process(section, inherited) }
        if let section = spec.reader("file") { policy.file = rules.file(section, inherited) }
        if let section = spec.reader("network") {
            (policy.protocols, policy.dns) = rules.network(section, inherited)
        }
        if let section = spec.reader("capabilities") { policy.capabilities = rules.capabilities(section, inherited) }
        if let section = spec.reader("syscalls") { policy.syscalls = rules.syscalls(section, inherited) }
        if policy.kind != .host { policy.presets = rules.presets(spec, inherited) }
        if policy.kind == .host, let section = spec.reader("device") {
            policy.devices = rules.devices(section, inherited)
        }
        policy.apparmor = spec.string("apparmor") ?? ""
    }

    // MARK: - Attributes

    /// Severity, tags and message of a level; the action is read apart, since its absence means something.
    private func attributes(of reader: FieldReader) -> RuleAttributes {
        RuleAttributes(
            severity: reader.integer("severity", in: 1...10) ?? 0, tags: reader.strings("tags"),
            message: reader.string("message") ?? "", action: .block)
    }

    private func action(of reader: FieldReader, lowerCase: Bool) -> RuleAction? {
        ActionDecoder.action(of: reader, lowerCase: lowerCase)
    }
}

/// Reads `action`.
enum ActionDecoder {
    /// `nil` when absent or wrong.
    static func action(of reader: FieldReader, lowerCase: Bool) -> RuleAction? {
        guard let text = reader.string("action") else { return nil }
        if let action = RuleAction.allCases.first(where: { $0.name == text }) { return action }
        // The daemon takes the lower-case words too, at spec level.
        if lowerCase, let action = RuleAction.allCases.first(where: { $0.name.lowercased() == text }) { return action }
        reader.sink.error(
            reader.position(of: "action"),
            "\(reader.name(of: "action")) must be Allow, Audit or Block, not '\(text)'"
                + Spelling.hint(text, in: RuleAction.allCases.map(\.name)))
        return nil
    }

    /// Attributes of a section or rule: each of its own, else inherited.
    static func attributes(of reader: FieldReader, inherited: RuleAttributes) -> RuleAttributes {
        var result = inherited
        if let severity = reader.integer("severity", in: 1...10) { result.severity = severity }
        let tags = reader.strings("tags")
        if !tags.isEmpty { result.tags = tags }
        if let message = reader.string("message"), !message.isEmpty { result.message = message }
        if let action = action(of: reader, lowerCase: false) { result.action = action }
        return result
    }
}
