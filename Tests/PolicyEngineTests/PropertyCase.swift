import PolicyModel

/// One comparison: a set, an operation, and what both sides say.
struct PropertyCase {
    var set: PropertySet
    var operation: ReferenceOperation

    /// What the reference says.
    func expected() -> ReferenceVerdict {
        var coverage = ReferenceCoverage()
        return ReferenceMatcher(policies: set.policies, postures: set.postures)
            .verdict(for: operation, coverage: &coverage)
    }

    /// What the engine says; `nil` when it refuses the set.
    func actual() -> ReferenceVerdict? {
        (try? PropertyEngine(set))?.verdict(for: operation).verdict
    }

    private var disagrees: Bool { actual() != expected() }

    /// The same disagreement with as few rules and qualifiers as greedy removal finds.
    func shrunk() -> PropertyCase {
        var best = self
        var progress = true
        while progress {
            progress = false
            for candidate in best.smaller() where candidate.disagrees {
                best = candidate
                progress = true
                break
            }
        }
        return best
    }

    /// Every case that is one step simpler.
    private func smaller() -> [PropertyCase] {
        var result: [PropertyCase] = []
        func add(_ change: (inout PropertyCase) -> Void) {
            var copy = self
            change(&copy)
            result.append(copy)
        }
        for index in set.policies.indices {
            add { $0.set.policies.remove(at: index) }
        }
        for (index, policy) in set.policies.enumerated() {
            for rule in policy.process.indices { add { $0.set.policies[index].process.remove(at: rule) } }
            for rule in policy.file.indices { add { $0.set.policies[index].file.remove(at: rule) } }
            for rule in policy.protocols.indices { add { $0.set.policies[index].protocols.remove(at: rule) } }
            for rule in policy.dns.indices { add { $0.set.policies[index].dns.remove(at: rule) } }
            for rule in policy.capabilities.indices { add { $0.set.policies[index].capabilities.remove(at: rule) } }
            for rule in policy.syscalls.indices { add { $0.set.policies[index].syscalls.remove(at: rule) } }
            for rule in policy.presets.indices { add { $0.set.policies[index].presets.remove(at: rule) } }
            for (rule, value) in policy.process.enumerated() {
                if value.ownerOnly { add { $0.set.policies[index].process[rule].ownerOnly = false } }
                if value.terminal != nil { add { $0.set.policies[index].process[rule].terminal = nil } }
                if !value.sources.isEmpty { add { $0.set.policies[index].process[rule].sources.removeLast() } }
                if !value.allowedArguments.isEmpty {
                    add { $0.set.policies[index].process[rule].allowedArguments.removeLast() }
                }
            }
            for (rule, value) in policy.file.enumerated() {
                if value.ownerOnly { add { $0.set.policies[index].file[rule].ownerOnly = false } }
                if value.readOnly { add { $0.set.policies[index].file[rule].readOnly = false } }
                if value.terminal != nil { add { $0.set.policies[index].file[rule].terminal = nil } }
                if !value.sources.isEmpty { add { $0.set.policies[index].file[rule].sources.removeLast() } }
            }
        }
        if operation.isWrite { add { $0.operation.isWrite = false } }
        if operation.hasTerminal { add { $0.operation.hasTerminal = false } }
        if operation.enteredWorkload { add { $0.operation.enteredWorkload = false } }
        if !operation.arguments.isEmpty { add { $0.operation.arguments.removeLast() } }
        return result
    }

    /// The case as text, for a failure message.
    var text: String {
        var lines = [
            "postures: file \(set.postures.file) network \(set.postures.network) caps \(set.postures.capabilities)"
        ]
        for policy in set.policies {
            lines.append("policy \(policy.name):")
            lines += policy.process.map {
                "  process \(Self.text($0.subject)) \($0.attributes.action) line \($0.position.line)"
                    + Self.qualifiers(ownerOnly: $0.ownerOnly, terminal: $0.terminal, sources: $0.sources)
                    + ($0.allowedArguments.isEmpty ? "" : " allowedArgs \($0.allowedArguments)")
            }
            lines += policy.file.map {
                "  file \(Self.text($0.subject)) \($0.attributes.action) line \($0.position.line)"
                    + ($0.readOnly ? " readOnly" : "")
                    + Self.qualifiers(ownerOnly: $0.ownerOnly, terminal: $0.terminal, sources: $0.sources)
            }
            lines += policy.protocols.map {
                "  protocol \($0.name) \($0.attributes.action) line \($0.position.line)"
                    + Self.qualifiers(ownerOnly: false, terminal: $0.terminal, sources: $0.sources)
            }
            lines += policy.dns.map {
                "  dns \($0.domain) \($0.attributes.action) line \($0.position.line)"
                    + Self.qualifiers(ownerOnly: false, terminal: nil, sources: $0.sources)
            }
            lines += policy.capabilities.map {
                "  capability \($0.capability) \($0.attributes.action) line \($0.position.line)"
                    + Self.qualifiers(ownerOnly: false, terminal: nil, sources: $0.sources)
            }
            lines += policy.syscalls.map {
                "  syscall \($0.syscalls) path \($0.path ?? "-") recursive \($0.recursive) line \($0.position.line) from "
                    + $0.sources.map { "\($0.path) recursive \($0.recursive)" }.joined(separator: ", ")
            }
            lines += policy.presets.map { "  preset \($0.name) \($0.attributes.action) line \($0.position.line)" }
        }
        func show(_ bytes: [UInt8]) -> String { "\"\(String(decoding: bytes, as: UTF8.self))\"" }
        lines.append("operation: \(operation.kind) source \(show(operation.source)) terminal \(operation.hasTerminal)")
        switch operation.kind {
        case .process, .file:
            lines.append(
                "  path \(show(operation.path)) write \(operation.isWrite) owner \(operation.isOwner)"
                    + " entered \(operation.enteredWorkload) pid \(operation.pid)"
                    + " arguments \(operation.arguments.map(show))")
        case .networkProtocol:
            lines.append(
                "  type \(operation.socketType) protocol \(operation.protocolNumber) internet \(operation.isInternet)")
        case .dns: lines.append("  name \(operation.name)")
        case .capability: lines.append("  capability \(operation.capability)")
        case .syscall: lines.append("  name \(operation.name) path \(operation.syscallPath.map(show) ?? "none")")
        }
        lines.append("expected (reference): \(expected())")
        lines.append("actual (engine): \(actual().map { "\($0)" } ?? "refused")")
        return lines.joined(separator: "\n")
    }

    private static func text(_ subject: PathSubject) -> String {
        switch subject {
        case .path(let path): "path \(path)"
        case .execname(let name): "execname \(name)"
        case .directory(let path, let recursive): "dir \(path)\(recursive ? " recursive" : "")"
        case .pattern(let pattern): "pattern \(pattern)"
        }
    }

    private static func qualifiers(ownerOnly: Bool, terminal: Bool?, sources: [String]) -> String {
        (ownerOnly ? " ownerOnly" : "") + (terminal.map { " pts \($0)" } ?? "")
            + (sources.isEmpty ? "" : " from \(sources)")
    }
}
