import ControlProtocol
import FoundationEssentials
import PolicyModel
import Workloads

/// A policy as JSON in the shape it is written in, with what every rule inherits written out.
enum PolicyText {
    /// `{"metadata":{"namespaceName","policyName"},"spec":{}}`, as KubeArmor's ProbeService tells of a policy.
    static func probe(_ policy: Policy) -> String {
        let metadata: AnyJSON = .object([
            "policyName": .string(policy.name), "namespaceName": .string(policy.namespace ?? ""),
        ])
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = try? encoder.encode(AnyJSON.object(["metadata": metadata, "spec": spec(policy)]))
        return bytes.map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }

    /// The policy's `spec`.
    static func spec(_ policy: Policy) -> AnyJSON {
        var spec = attributes(policy.attributes)
        spec[policy.selectsNodes ? "nodeSelector" : "selector"] = selector(policy.selector)
        spec["process"] = paths(policy.process.map { ($0.subject, processRule($0)) })
        spec["file"] = paths(policy.file.map { ($0.subject, fileRule($0)) })
        spec["network"] = section([
            "matchProtocols": policy.protocols.map { rule in
                var fields = attributes(rule.attributes)
                fields["protocol"] = .string(rule.name.rawValue)
                fields["fromSource"] = sources(rule.sources)
                return fields
            },
            "matchDNSQueries": policy.dns.map { rule in
                var fields = attributes(rule.attributes)
                fields["domain"] = .string(rule.domain)
                fields["fromSource"] = sources(rule.sources)
                return fields
            },
        ])
        spec["capabilities"] = section([
            "matchCapabilities": policy.capabilities.map { rule in
                var fields = attributes(rule.attributes)
                fields["capability"] = .string(rule.name)
                fields["fromSource"] = sources(rule.sources)
                return fields
            }
        ])
        spec["syscalls"] = section([
            "matchSyscalls": policy.syscalls.filter { $0.path == nil }.map(syscallRule),
            "matchPaths": policy.syscalls.filter { $0.path != nil }.map(syscallRule),
        ])
        let presets = policy.presets.map { rule -> AnyJSON in
            .object(["name": .string(rule.name.rawValue), "action": .string(rule.attributes.action.name)])
        }
        if !presets.isEmpty { spec["presets"] = .list(presets) }
        for (name, rules) in [("ingress", policy.ingress), ("egress", policy.egress)] where !rules.isEmpty {
            spec[name] = .list(rules.map { .object(packetRule($0, isIngress: name == "ingress")) })
        }
        if !policy.level.isEmpty { spec["level"] = .string(policy.level) }
        return .object(spec)
    }

    // MARK: - Parts

    private static func attributes(_ attributes: RuleAttributes) -> [String: AnyJSON] {
        var fields: [String: AnyJSON] = ["action": .string(attributes.action.name)]
        if attributes.severity > 0 { fields["severity"] = .integer(Int64(attributes.severity)) }
        if !attributes.tags.isEmpty { fields["tags"] = .list(attributes.tags.map(AnyJSON.string)) }
        if !attributes.message.isEmpty { fields["message"] = .string(attributes.message) }
        return fields
    }

    private static func selector(_ selector: Selector) -> AnyJSON {
        var fields: [String: AnyJSON] = [:]
        if !selector.labels.isEmpty {
            fields["matchLabels"] = .object(
                Dictionary(selector.labels.map { ($0.key, .string($0.value)) }, uniquingKeysWith: { $1 }))
        }
        if !selector.expressions.isEmpty {
            fields["matchExpressions"] = .list(
                selector.expressions.map {
                    .object([
                        "key": .string($0.key), "operator": .string($0.relation.rawValue),
                        "values": .list($0.values.map(AnyJSON.string)),
                    ])
                })
        }
        return .object(fields)
    }

    private static func sources(_ sources: [String]) -> AnyJSON? {
        sources.isEmpty ? nil : .list(sources.map { .object(["path": .string($0)]) })
    }

    private static func processRule(_ rule: ProcessRule) -> [String: AnyJSON] {
        var fields = attributes(rule.attributes)
        if rule.ownerOnly { fields["ownerOnly"] = .truth(true) }
        if !rule.allowedArguments.isEmpty { fields["allowedArgs"] = .list(rule.allowedArguments.map(AnyJSON.string)) }
        if let terminal = rule.terminal { fields["terminal"] = .truth(terminal) }
        fields["fromSource"] = sources(rule.sources)
        return fields
    }

    private static func fileRule(_ rule: FileRule) -> [String: AnyJSON] {
        var fields = attributes(rule.attributes)
        if rule.readOnly { fields["readOnly"] = .truth(true) }
        if rule.ownerOnly { fields["ownerOnly"] = .truth(true) }
        if let terminal = rule.terminal { fields["terminal"] = .truth(terminal) }
        fields["fromSource"] = sources(rule.sources)
        return fields
    }

    private static func syscallRule(_ rule: SyscallRule) -> [String: AnyJSON] {
        var fields = attributes(rule.attributes)
        // Otherwise a system call is reported, whatever the spec's action is.
        if rule.attributes.action != .block { fields["action"] = nil }
        fields["syscall"] = .list(rule.syscalls.map(AnyJSON.string))
        if let path = rule.path { fields["path"] = .string(path) }
        if rule.recursive { fields["recursive"] = .truth(true) }
        if !rule.sources.isEmpty {
            fields["fromSource"] = .list(
                rule.sources.map {
                    var source: [String: AnyJSON] = [$0.path.hasSuffix("/") ? "dir" : "path": .string($0.path)]
                    if $0.recursive { source["recursive"] = .truth(true) }
                    return .object(source)
                })
        }
        return fields
    }

    private static func packetRule(_ rule: NetworkPolicyRule, isIngress: Bool) -> [String: AnyJSON] {
        var fields = attributes(rule.attributes)
        if !rule.cidrs.isEmpty {
            fields[isIngress ? "from" : "to"] = .list(
                rule.cidrs.map { .object(["ipBlock": .object(["cidr": .string($0)])]) })
        }
        if !rule.interfaces.isEmpty { fields["interface"] = .list(rule.interfaces.map(AnyJSON.string)) }
        if !rule.ports.isEmpty {
            fields["ports"] = .list(
                rule.ports.map {
                    var port: [String: AnyJSON] = ["port": .string($0.port)]
                    if let end = $0.endPort { port["endPort"] = .integer(Int64(end)) }
                    if !$0.protocolName.isEmpty { port["protocol"] = .string($0.protocolName) }
                    return .object(port)
                })
        }
        if !rule.limit.isEmpty { fields["limit"] = .string(rule.limit) }
        if !rule.duration.isEmpty { fields["duration"] = .string(rule.duration) }
        return fields
    }

    /// The rules of a section with paths, by what they name.
    private static func paths(_ rules: [(PathSubject, [String: AnyJSON])]) -> AnyJSON? {
        var groups: [String: [[String: AnyJSON]]] = [:]
        for (subject, fields) in rules {
            var fields = fields
            switch subject {
            case .path(let path):
                fields["path"] = .string(path)
                groups["matchPaths", default: []].append(fields)
            case .execname(let name):
                fields["execname"] = .string(name)
                groups["matchPaths", default: []].append(fields)
            case .directory(let directory, let recursive):
                fields["dir"] = .string(directory)
                if recursive { fields["recursive"] = .truth(true) }
                groups["matchDirectories", default: []].append(fields)
            case .pattern(let pattern):
                fields["pattern"] = .string(pattern)
                groups["matchPatterns", default: []].append(fields)
            }
        }
        return section(groups)
    }

    private static func section(_ groups: [String: [[String: AnyJSON]]]) -> AnyJSON? {
        let groups = groups.filter { !$0.value.isEmpty }
        return groups.isEmpty ? nil : .object(groups.mapValues { .list($0.map(AnyJSON.object)) })
    }
}

/// Which workloads have which policies.
enum ProbeReport {
    /// The host first, then every container.
    static func workloads(
        _ store: PolicyStore?, _ containers: [ContainerIdentity], host: String, _ node: NodeLabels
    ) -> [WorkloadPolicies] {
        guard let store else { return [] }
        func entry(_ name: String, isHost: Bool, _ policies: [Policy]) -> WorkloadPolicies {
            WorkloadPolicies(
                name: name, isHost: isHost,
                policies: policies.map { PolicyDocument(name: $0.name, text: PolicyText.probe($0)) })
        }
        let all = store.policies
        return [entry(host, isHost: true, all.filter { $0.selectsNodes && node.select($0) })]
            + containers.sorted { ($0.name, $0.id) < ($1.name, $1.id) }.map { container in
                entry(container.name, isHost: false, all.filter { container.isSelected(by: $0) })
            }
    }
}
