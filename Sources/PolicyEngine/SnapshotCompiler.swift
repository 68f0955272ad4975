import PolicyModel

/// Compiles the policies of one workload into a snapshot.
public struct SnapshotCompiler: Sendable {
    private let limits: CompilerLimits
    private let seed: UInt64

    /// A compiler with these limits.
    ///
    /// - Parameter seed: the secret of the snapshot's hash tables; the same policies with the same seed give the same bytes.
    public init(limits: CompilerLimits = CompilerLimits(), seed: UInt64 = .random(in: .min ... .max)) {
        self.limits = limits
        self.seed = seed
    }

    /// Compiles policies, in list order.
    ///
    /// - Parameters:
    ///   - postures: what happens to operations that an allow-list does not name.
    ///   - aliases: further names of what the rules name.
    ///   - generation: the snapshot's number, carried into every alert.
    ///   - firstRule: the id of the first rule; for a bundle of snapshots, in which ids are unique.
    /// - Throws: when a subject or pattern is malformed or a limit is exceeded; nothing is half compiled.
    public func compile(
        policies: [Policy], postures: Postures, aliases: [PathAlias] = [], generation: UInt64, firstRule: Int = 0
    ) throws(CompilationError) -> CompiledSnapshot {
        var rules = RuleCollector(
            draft: SnapshotDraft(hash: KeyHash(seed: seed)), limits: limits, aliases: aliases, firstRule: firstRule)
        for policy in policies { try rules.add(policy) }
        let end = policies.last?.position ?? SourcePosition(file: "", line: 1, column: 1)
        let writer = SnapshotWriter(rules.draft, limits: limits, end: end)
        let bytes = try writer.write(
            postures: postures, generation: generation, ruleCount: firstRule + rules.rules.count,
            presets: rules.presetWords)
        return CompiledSnapshot(bytes: bytes, rules: rules.rules)
    }
}
