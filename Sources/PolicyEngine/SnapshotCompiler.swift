import PolicyModel

/// A second name for what a rule names, found by resolving symlinks on the host. Rules whose path, directory, pattern prefix or source
/// is `literal` — or lies under it, when it ends in `/` — also hold with `literal` replaced by `canonical`.
public struct PathAlias: Sendable, Hashable {
    /// As the rule has it.
    public var literal: String
    /// Without symlinks; ends in `/` exactly when `literal` does.
    public var canonical: String

    /// Creates an alias.
    public init(literal: String, canonical: String) {
        self.literal = literal
        self.canonical = canonical
    }
}

/// What people are told about a rule of a snapshot.
public struct RuleDescription: Sendable, Equatable {
    /// Index in `CompiledSnapshot.rules`.
    public var id: RuleID
    /// The policy's name.
    public var policyName: String
    /// The policy's namespace.
    public var policyNamespace: String?
    /// The policy's kind.
    public var policyKind: PolicyKind
    /// What the rule is about.
    public var category: Category
    /// The preset that the rule is, if it is one.
    public var isPreset: PresetName?
    /// The subject as written.
    public var subject: String
    /// Severity, tags, message, action.
    public var attributes: RuleAttributes
    /// `fromSource` as written.
    public var sources: [String]
    /// Where it is written.
    public var position: SourcePosition
}

/// The compiler's result.
public struct CompiledSnapshot: Sendable {
    /// The flat table, for `Snapshot(validating:)`.
    public var bytes: [UInt8]
    /// One description a rule; index = `RuleID.rawValue`.
    public var rules: [RuleDescription]
}

/// Bounds of what is compiled.
public struct CompilerLimits: Sendable {
    /// Most rules of one snapshot.
    public var rules = 200_000
    /// Most bytes of one snapshot.
    public var bytes = 256 << 20

    /// The defaults.
    public init() {}
}

/// Why policies cannot be compiled, at the rule that is to blame.
public struct CompilationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The rule's place.
    public var position: SourcePosition
    /// What is wrong.
    public var message: String

    /// One line for people.
    public var description: String { "\(position): \(message)" }
}

/// Compiles the policies of one workload into a snapshot.
public struct SnapshotCompiler {
    private let limits: CompilerLimits
    private let seed: UInt64?

    /// A compiler with these limits.
    ///
    /// - Parameter seed: key of the tables' hash; drawn at random for each snapshot unless a measurement is to be repeatable.
    public init(limits: CompilerLimits = CompilerLimits(), seed: UInt64? = nil) {
        self.limits = limits
        self.seed = seed
    }

    /// Compiles policies, in list order.
    ///
    /// - Parameters:
    ///   - generation: the snapshot's number, carried into every alert.
    /// - Throws: when a pattern has too many states or a limit is exceeded; nothing is half compiled.
    public func compile(
        policies: [Policy], postures: Postures, aliases: [PathAlias] = [], generation: UInt64
    ) throws(CompilationError) -> CompiledSnapshot {
        var builder = SnapshotBuilder(aliases: aliases, seed: seed ?? UInt64.random(in: .min ... .max))
        for policy in policies {
            for rule in policy.process { try builder.add(rule, policy) }
            for rule in policy.file { try builder.add(rule, policy) }
            for rule in policy.protocols { builder.add(rule, policy) }
            for rule in policy.dns { builder.add(rule, policy) }
            for rule in policy.capabilities { builder.add(rule, policy) }
            for rule in policy.syscalls { builder.add(rule, policy) }
            for rule in policy.presets { builder.add(rule, policy) }
            if builder.rules.count > limits.rules {
                throw CompilationError(position: policy.position, message: "more than \(limits.rules) rules")
            }
        }
        let bytes = builder.finish(postures: postures, generation: generation)
        guard bytes.count <= limits.bytes else {
            throw CompilationError(
                position: policies.last?.position ?? SourcePosition(file: "", line: 1, column: 1),
                message: "the compiled rules are larger than \(limits.bytes) bytes")
        }
        return CompiledSnapshot(bytes: bytes, rules: builder.rules)
    }
}
