import PolicyEngine
import PolicyModel

/// A compiled set: the real engine behind the types of the reference.
final class PropertyEngine {
    private let memory: UnsafeMutableRawBufferPointer
    private let snapshot: Snapshot
    private let lines: [RuleID: Int]
    private let rules: [RuleDescription]

    /// Compiles the set and opens the snapshot.
    init(_ set: PropertySet) throws {
        let compiled = try SnapshotCompiler().compile(
            policies: set.policies, postures: set.postures, aliases: [], generation: 1)
        memory = .allocate(byteCount: compiled.bytes.count, alignment: 64)
        memory.copyBytes(from: compiled.bytes)
        do {
            snapshot = try Snapshot(validating: UnsafeRawBufferPointer(memory))
        } catch {
            memory.deallocate()
            throw error
        }
        rules = compiled.rules
        lines = Dictionary(uniqueKeysWithValues: compiled.rules.map { ($0.id, $0.position.line) })
    }

    deinit { memory.deallocate() }

    /// The engine's verdict when it is told only `known`; everything else of the operation is there, but not to be used.
    func verdict(
        for operation: ReferenceOperation, known: FactSet = PropertyEngine.allFacts
    ) -> (verdict: ReferenceVerdict, missing: FactSet) {
        let raw = rawVerdict(operation, known)
        let reason: ReferenceVerdict.Reason
        switch raw.rule {
        case .none: reason = .nothing
        case .defaultPosture: reason = .defaultPosture
        default: reason = lines[raw.rule].map { .line($0) } ?? .line(-1)
        }
        let effect: ReferenceVerdict.Effect
        switch raw.effect {
        case .allow: effect = .allow
        case .audit: effect = .audit
        case .block: effect = .block
        }
        return (ReferenceVerdict(effect: effect, reason: reason), raw.missing)
    }

    /// What is wrong with the descriptions of the set's rules: each rule has one, with its policy and attributes.
    func wrongDescription(of set: PropertySet) -> String? {
        var described = Dictionary(grouping: rules, by: \.position.line)
        func check(
            _ policy: Policy, _ category: PolicyEngine.Category?, _ attributes: RuleAttributes,
            _ position: SourcePosition, _ sources: [String]
        ) -> String? {
            let found = described.removeValue(forKey: position.line) ?? []
            guard found.count == 1, let rule = found.first else { return "\(found.count) descriptions of \(position)" }
            let isRight =
                rule.policyName == policy.name && rule.policyNamespace == policy.namespace
                && rule.policyKind == policy.kind && rule.category == category ?? rule.category
                && rule.attributes == attributes && rule.position == position && rule.sources == sources
            return isRight ? nil : "\(rule)"
        }
        for policy in set.policies {
            let problems =
                policy.process.map { check(policy, .process, $0.attributes, $0.position, $0.sources) }
                + policy.file.map { check(policy, .file, $0.attributes, $0.position, $0.sources) }
                + policy.protocols.map { check(policy, .networkProtocol, $0.attributes, $0.position, $0.sources) }
                + policy.dns.map { check(policy, .dns, $0.attributes, $0.position, $0.sources) }
                + policy.capabilities.map { check(policy, .capability, $0.attributes, $0.position, $0.sources) }
                + policy.syscalls.map {
                    check(policy, .syscall, $0.attributes, $0.position, $0.sources.map(\.path))
                }
                + policy.presets.map { preset in
                    var attributes = preset.attributes
                    if attributes.action == .allow { attributes.action = .block }
                    return check(policy, nil, attributes, preset.position, [])
                }
            if let problem = problems.compactMap({ $0 }).first { return problem }
        }
        return described.isEmpty ? nil : "descriptions of no rule: \(described.keys.sorted())"
    }

    static let allFacts: FactSet = [.source, .write, .ownership, .terminal, .arguments, .process]

    private func rawVerdict(_ operation: ReferenceOperation, _ known: FactSet) -> Verdict {
        operation.source.withUnsafeBytes { bytes in
            let source = known.contains(.source) ? bytes : nil
            switch operation.kind {
            case .process, .file:
                return objectVerdict(operation, bytes, known)
            case .networkProtocol:
                return snapshot.protocolVerdict(
                    type: operation.socketType, protocolNumber: operation.protocolNumber,
                    isInternet: operation.isInternet, source: source,
                    hasTerminal: known.contains(.terminal) ? operation.hasTerminal : nil)
            case .dns:
                return Array(operation.name.utf8).withUnsafeBytes {
                    snapshot.dnsVerdict(name: $0, source: source)
                }
            case .capability:
                return snapshot.capabilityVerdict(operation.capability, source: source)
            case .syscall:
                return Array(operation.name.utf8).withUnsafeBytes { name in
                    guard let path = operation.syscallPath else {
                        return snapshot.syscallVerdict(name: name, path: nil, source: source)
                    }
                    return path.withUnsafeBytes { snapshot.syscallVerdict(name: name, path: $0, source: source) }
                }
            }
        }
    }

    private func objectVerdict(
        _ operation: ReferenceOperation, _ source: UnsafeRawBufferPointer, _ known: FactSet
    ) -> Verdict {
        Array(operation.arguments.map { $0 + [0] }.joined()).withUnsafeBytes { arguments in
            operation.path.withUnsafeBytes { path in
                var object = ObjectOperation(category: operation.kind == .process ? .process : .file, path: path)
                object.known = known
                object.source = source
                object.isWrite = operation.isWrite
                object.isOwner = operation.isOwner
                object.hasTerminal = operation.hasTerminal
                object.enteredWorkload = operation.enteredWorkload
                object.pid = operation.pid
                object.arguments = arguments
                return snapshot.verdict(for: object)
            }
        }
    }
}
