import PolicyModel
import Testing

@testable import PolicyEngine

/// Several workloads' snapshots in one piece of memory.
@Suite("Snapshot bundles")
struct SnapshotBundleTests {
    private static let position = SourcePosition(file: "t", line: 1, column: 1)

    private static func compiled(
        _ paths: [String], generation: UInt64 = 3, firstRule: Int = 0
    ) throws -> CompiledSnapshot {
        var policy = Policy(kind: .container, name: "p", position: position)
        policy.file = paths.map {
            FileRule(subject: .path($0), attributes: RuleAttributes(action: .block), position: position)
        }
        return try SnapshotCompiler(seed: 1).compile(
            policies: [policy], postures: Postures(), generation: generation, firstRule: firstRule)
    }

    /// The host's with one rule, and two workloads' with two and one.
    private static func bundle() throws -> [UInt8] {
        let host = try compiled(["/a"])
        let first = try compiled(["/b", "/c"], firstRule: host.rules.count)
        let second = try compiled(["/a"], firstRule: host.rules.count + first.rules.count)
        return SnapshotBundle.encode([(0, host.bytes), (7, first.bytes), (9, second.bytes)])
    }

    private static func read<Result>(
        _ bytes: [UInt8], _ body: (SnapshotBundle) throws -> Result
    ) throws -> Result {
        try bytes.withUnsafeBytes { try body(SnapshotBundle(validating: $0)) }
    }

    private static func rule(_ snapshot: Snapshot, _ path: String) -> UInt32 {
        Array(path.utf8).withUnsafeBytes {
            snapshot.verdict(for: ObjectOperation(category: .file, path: $0)).rule.rawValue
        }
    }

    @Test func eachWorkloadHasItsRulesWithIdsOfTheirOwn() throws {
        try Self.read(Self.bundle()) { bundle in
            #expect(bundle.parts.map(\.workload) == [0, 7, 9])
            #expect(bundle.host.generation == 3)
            let ids = bundle.parts.map { part in ["/a", "/b", "/c"].map { Self.rule(part.snapshot, $0) } }
            let none = RuleID.none.rawValue
            #expect(ids == [[0, none, none], [none, 1, 2], [3, none, none]])
        }
    }

    @Test func everyTruncationIsRefused() throws {
        let bytes = try Self.bundle()
        for length in 0..<bytes.count {
            #expect(throws: SnapshotError.self) { try Self.read(Array(bytes[..<length])) { _ in } }
        }
        #expect(throws: SnapshotError.self) { try Self.read(bytes + [0]) { _ in } }
    }

    @Test func everyChangedByteOfTheHeaderIsNoticed() throws {
        var bytes = try Self.bundle()
        for index in 0..<(40 + 3 * 24) {
            for bit in 0..<8 {
                bytes[index] ^= 1 << bit
                // Another number of a workload is as good as the one before, as long as the order is kept.
                if let numbers = try? Self.read(bytes, { $0.parts.map(\.workload) }) {
                    #expect(numbers.count == 3 && numbers[0] == 0 && numbers[0] < numbers[1] && numbers[1] < numbers[2])
                    #expect(numbers != [0, 7, 9])
                }
                bytes[index] ^= 1 << bit
            }
        }
    }

    @Test func theHostComesFirstAndNobodyTwice() throws {
        let part = try Self.compiled(["/a"]).bytes
        for numbers: [UInt64] in [[], [1], [1, 0], [0, 0], [0, 2, 1], [0, 1, 1]] {
            #expect(throws: SnapshotError.self) {
                try Self.read(SnapshotBundle.encode(numbers.map { ($0, part) })) { _ in }
            }
        }
    }

    @Test func partsOfTwoGenerationsAreRefused() throws {
        let bytes = SnapshotBundle.encode([
            (0, try Self.compiled(["/a"]).bytes), (1, try Self.compiled(["/a"], generation: 4).bytes),
        ])
        #expect(throws: SnapshotError.badReference("generations")) { try Self.read(bytes) { _ in } }
    }

    @Test func aRuleBeyondTheLimitIsRefused() throws {
        let limits = CompilerLimits()
        #expect(throws: CompilationError.self) { try Self.compiled(["/a", "/b"], firstRule: limits.rules - 1) }
    }

    // MARK: - Sets for containers

    private static func withSets(_ assignments: [SnapshotBundle.Assignment]) throws -> [UInt8] {
        SnapshotBundle.encode(
            [
                (0, try compiled(["/a"]).bytes), (7, try compiled(["/b"], firstRule: 1).bytes),
                (SnapshotBundle.set(11), try compiled(["/c"], generation: 11).bytes),
                (SnapshotBundle.set(12), try compiled([], generation: 12).bytes),
            ], assignments: assignments, network: [1, 2, 3])
    }

    private static func assignment(_ container: UInt64, _ set: UInt64) -> SnapshotBundle.Assignment {
        SnapshotBundle.Assignment(container: SnapshotBundle.container(container), set: SnapshotBundle.set(set))
    }

    @Test func containersShareSets() throws {
        let assignments = [Self.assignment(1, 11), Self.assignment(2, 12), Self.assignment(5, 11)]
        let bytes = try Self.withSets(assignments)
        try Self.read(bytes) { bundle in
            #expect(bundle.assignments == assignments)
            #expect(bundle.hostParts.map(\.workload) == [0, 7])
            #expect(bundle.sets.map(\.snapshot.generation) == [11, 12])
            #expect(Array(bytes[bundle.network]) == [1, 2, 3])
        }
        for length in 0..<bytes.count {
            #expect(throws: SnapshotError.self) { try Self.read(Array(bytes[..<length])) { _ in } }
        }
    }

    @Test func aContainerHasOneSetThatIsThere() throws {
        for wrong in [
            [Self.assignment(1, 13)], [Self.assignment(1, 11), Self.assignment(1, 12)],
            [Self.assignment(2, 11), Self.assignment(1, 11)],
            [SnapshotBundle.Assignment(container: 7, set: SnapshotBundle.set(11))],
            [SnapshotBundle.Assignment(container: SnapshotBundle.container(1), set: 7)],
        ] {
            #expect(throws: SnapshotError.self) { try Self.read(Self.withSets(wrong)) { _ in } }
        }
    }

    @Test func setsComeAloneToo() throws {
        func setCount(_ bytes: [UInt8]) throws -> Int {
            try bytes.withUnsafeBytes { try SnapshotBundle(validating: $0, hasHost: false).sets.count }
        }
        let set = (SnapshotBundle.set(11), try Self.compiled(["/c"], generation: 11).bytes)
        #expect(try setCount(SnapshotBundle.encode([set])) == 1)
        #expect(throws: SnapshotError.self) { try Self.read(SnapshotBundle.encode([set])) { _ in } }
        // A set's number is its generation.
        for wrong in [(SnapshotBundle.set(12), set.1), (0, try Self.compiled(["/c"]).bytes)] {
            #expect(throws: SnapshotError.self) { try setCount(SnapshotBundle.encode([wrong])) }
        }
    }
}
