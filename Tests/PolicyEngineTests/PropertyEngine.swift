import PolicyEngine
import PolicyModel

/// A compiled set: the real engine behind the types of the reference.
final class PropertyEngine {
    private let memory: UnsafeMutableRawBufferPointer
    private let snapshot: Snapshot
    private let lines: [RuleID: Int]
    let rules: [RuleDescription]

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

    static let allFacts: FactSet = [.source, .write, .ownership, .terminal, .arguments, .process]

    private func rawVerdict(_ operation: ReferenceOperation, _ known: FactSet) -> Verdict {
        operation.source.withUnsafeBytes { source in
            switch operation.kind {
            case .process, .file:
                return objectVerdict(operation, source, known)
            case .networkProtocol:
                return snapshot.protocolVerdict(
                    type: operation.socketType, protocolNumber: operation.protocolNumber,
                    isInternet: operation.isInternet, source: source, hasTerminal: operation.hasTerminal)
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
        // The arguments one after another, with room for buffers into them.
        let ends = operation.arguments.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1.count) }
        return operation.arguments.flatMap { $0 }.withUnsafeBytes { flat in
            let arguments = operation.arguments.indices.map {
                UnsafeRawBufferPointer(rebasing: flat[ends[$0]..<ends[$0 + 1]])
            }
            return arguments.withUnsafeBufferPointer { list in
                operation.path.withUnsafeBytes { path in
                    var object = ObjectOperation(category: operation.kind == .process ? .process : .file, path: path)
                    object.known = known
                    object.source = source
                    object.isWrite = operation.isWrite
                    object.isOwner = operation.isOwner
                    object.hasTerminal = operation.hasTerminal
                    object.enteredWorkload = operation.enteredWorkload
                    object.pid = operation.pid
                    object.arguments = list
                    return snapshot.verdict(for: object)
                }
            }
        }
    }
}
