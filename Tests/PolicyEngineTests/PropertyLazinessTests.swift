import PolicyEngine
import PolicyModel
import Testing

/// Facts cost system calls, so the engine asks for them. Asking must neither change a verdict nor be skipped when the
/// answer matters, in every category.
@Suite struct PropertyLazinessTests {
    private static let facts: [FactSet] = [.source, .write, .ownership, .terminal, .arguments, .process]
    private static let setsPerShard = 40
    private static let operationsPerSet = 40

    @Test(arguments: 0..<16)
    func lazyVerdictIsTheVerdict(shard: Int) throws {
        var counts = Counts()
        for index in 0..<Self.setsPerShard {
            let seed = PropertyTests.firstSeed &* 1_000_000 + 500_000 + UInt64(shard * Self.setsPerShard + index)
            var random = PropertyRandom(seed: seed)
            let set = PropertySet(&random)
            let engine = try PropertyEngine(set)
            let matcher = ReferenceMatcher(policies: set.policies, postures: set.postures)
            for number in 0..<Self.operationsPerSet {
                let operation = set.operation(&random)
                let found =
                    Self.revealingOneByOne(operation, engine, matcher, &random, &counts)
                    ?? Self.withholdingSome(operation, engine, matcher, &random, &counts)
                if let found {
                    Issue.record(
                        "seed \(seed), operation \(number): \(found)\n\(PropertyCase(set: set, operation: operation).text)"
                    )
                    return
                }
            }
        }
        #expect(counts.decidedWithoutFacts >= 150 && counts.decidedWithSomeFacts >= 150)
        for (fact, count) in zip(Self.facts, counts.asked) { #expect(count >= 5, "\(fact)") }
        #expect(counts.withheldAndFinal >= 150 && counts.withheldAndMissing >= 150)
    }

    /// How often the interesting things happened.
    private struct Counts {
        var decidedWithoutFacts = 0
        var decidedWithSomeFacts = 0
        var withheldAndFinal = 0
        var withheldAndMissing = 0
        var asked = [Int](repeating: 0, count: PropertyLazinessTests.facts.count)
    }

    /// Reveals one asked-for fact a round; what is not revealed holds other values. Returns what is wrong.
    private static func revealingOneByOne(
        _ operation: ReferenceOperation, _ engine: PropertyEngine, _ matcher: ReferenceMatcher,
        _ random: inout PropertyRandom, _ counts: inout Counts
    ) -> String? {
        let expected = engine.verdict(for: operation)
        var known: FactSet = []
        for round in 1...6 {
            let told = scrambled(operation, keeping: known, &random)
            let (verdict, missing) = engine.verdict(for: told, known: known)
            if missing.isEmpty {
                if verdict != expected.verdict { return "\(verdict) knowing \(known), \(expected.verdict) knowing all" }
                if known.isEmpty { counts.decidedWithoutFacts += 1 } else { counts.decidedWithSomeFacts += 1 }
                return alwaysTheSame(verdict, operation, known, matcher, &random)
            }
            if !missing.isDisjoint(with: known) { return "round \(round) asks for \(missing) again, known \(known)" }
            let asked = facts.indices.filter { missing.contains(facts[$0]) }
            if asked.isEmpty { return "round \(round) asks for unknown facts \(missing)" }
            let chosen = random.pick(asked)
            counts.asked[chosen] += 1
            known.formUnion(facts[chosen])
        }
        return "no verdict after 6 rounds, known \(known)"
    }

    /// Withholds a random set of facts from the start. Returns what is wrong.
    private static func withholdingSome(
        _ operation: ReferenceOperation, _ engine: PropertyEngine, _ matcher: ReferenceMatcher,
        _ random: inout PropertyRandom, _ counts: inout Counts
    ) -> String? {
        var known: FactSet = []
        for fact in facts where random.chance(50) { known.formUnion(fact) }
        let told = scrambled(operation, keeping: known, &random)
        let (verdict, missing) = engine.verdict(for: told, known: known)
        if !missing.isEmpty {
            counts.withheldAndMissing += 1
            return missing.isDisjoint(with: known) ? nil : "asks for \(missing), known \(known)"
        }
        counts.withheldAndFinal += 1
        return alwaysTheSame(verdict, operation, known, matcher, &random)
    }

    /// A verdict given without some facts must be the reference's for every value of these facts: all combinations of
    /// the truth values, each with other sources, pids and arguments.
    private static func alwaysTheSame(
        _ verdict: ReferenceVerdict, _ operation: ReferenceOperation, _ known: FactSet, _ matcher: ReferenceMatcher,
        _ random: inout PropertyRandom
    ) -> String? {
        var ignored = ReferenceCoverage()
        for combination in 0..<16 {
            var other = scrambled(operation, keeping: known, &random)
            if !known.contains(.write) { other.isWrite = operation.kind == .file && combination & 1 != 0 }
            if !known.contains(.ownership) { other.isOwner = combination & 2 != 0 }
            if !known.contains(.terminal) { other.hasTerminal = combination & 4 != 0 }
            if !known.contains(.process) { other.enteredWorkload = combination & 8 != 0 }
            let expected = matcher.verdict(for: other, coverage: &ignored)
            if expected != verdict { return "\(verdict) knowing only \(known), but \(expected) is right for \(other)" }
        }
        return nil
    }

    /// The operation with random values for everything that is not known.
    private static func scrambled(
        _ operation: ReferenceOperation, keeping known: FactSet, _ random: inout PropertyRandom
    ) -> ReferenceOperation {
        var other = operation
        PropertySet.scramble(&other, &random)
        if known.contains(.source) { other.source = operation.source }
        if known.contains(.write) || operation.kind == .process { other.isWrite = operation.isWrite }
        if known.contains(.ownership) { other.isOwner = operation.isOwner }
        if known.contains(.terminal) { other.hasTerminal = operation.hasTerminal }
        if known.contains(.arguments) || operation.kind == .file { other.arguments = operation.arguments }
        if known.contains(.process) {
            other.pid = operation.pid
            other.enteredWorkload = operation.enteredWorkload
        }
        return other
    }
}
