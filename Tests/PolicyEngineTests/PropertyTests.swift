import Glibc
import PolicyEngine
import PolicyModel
import Testing

/// The engine against the reference on random policies: 16 × 150 sets × 440 operations = 1 056 000 comparisons.
///
/// PORTCULLIS_PROPERTY_SEED moves the seeds, to search elsewhere; a failure prints the seed that reproduces it.
@Suite struct PropertyTests {
    private static let shards = 16
    private static let setsPerShard = 150
    private static let operationsPerSet = 440
    /// Each branch of the contract must be taken this often, or the comparison means little.
    private static let leastCoverage = 200
    /// A shard stops after this many disagreements: they mostly have one cause.
    private static let mostDisagreements = 2

    static let firstSeed: UInt64 = {
        guard let text = getenv("PORTCULLIS_PROPERTY_SEED"), let seed = UInt64(String(cString: text)) else { return 1 }
        return seed
    }()

    @Test func engineAgreesWithReference() async throws {
        var coverage = ReferenceCoverage()
        var comparisons = 0
        try await withThrowingTaskGroup(of: (ReferenceCoverage, Int).self) { group in
            for shard in 0..<Self.shards { group.addTask { try Self.compare(shard: shard) } }
            for try await (part, count) in group {
                coverage.add(part)
                comparisons += count
            }
        }
        #expect(comparisons >= 1_000_000)
        #expect(coverage.rare(below: Self.leastCoverage).isEmpty)
    }

    /// Compares one shard's sets; returns what was covered, and how often both sides agreed.
    private static func compare(shard: Int) throws -> (ReferenceCoverage, Int) {
        var coverage = ReferenceCoverage()
        var agreements = 0
        var disagreements = 0
        for index in 0..<setsPerShard {
            let seed = firstSeed &* 1_000_000 + UInt64(shard * setsPerShard + index)
            var random = PropertyRandom(seed: seed)
            let set = PropertySet(&random)
            let matcher = ReferenceMatcher(policies: set.policies, postures: set.postures)
            let engine = try PropertyEngine(set)
            if let wrong = engine.wrongDescription(of: set) { Issue.record("seed \(seed): \(wrong)") }
            for number in 0..<operationsPerSet {
                let operation = set.operation(&random)
                let expected = matcher.verdict(for: operation, coverage: &coverage)
                let actual = engine.verdict(for: operation)
                if actual.verdict == expected && actual.missing.isEmpty {
                    agreements += 1
                    continue
                }
                disagreements += 1
                let found = PropertyCase(set: set, operation: operation)
                let text = actual.missing.isEmpty ? found.shrunk().text : found.text
                Issue.record("seed \(seed), operation \(number), missing \(actual.missing)\n\(text)")
                if disagreements == mostDisagreements { return (coverage, agreements) }
                break
            }
        }
        return (coverage, agreements)
    }
}
