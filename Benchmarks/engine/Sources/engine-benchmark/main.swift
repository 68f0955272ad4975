import Glibc
import PolicyEngine
import PolicyModel

// engine-benchmark                 prints the tables
// engine-benchmark verdicts N      asks N verdicts of each way and nothing else, for `scripts/count-verdict-allocations`
// engine-benchmark allocating N    the same, and N allocations

let ruleCounts = [10, 1_000, 10_000, 100_000]

/// A usable snapshot and what it cost.
struct Compiled {
    var snapshot: Snapshot
    var size: Int
    var compileMilliseconds: Double
    var checkMilliseconds: Double
}

func compile(_ policies: [Policy]) throws -> Compiled {
    let start = monotonicNanoseconds()
    let compiled = try SnapshotCompiler(seed: 1).compile(policies: policies, postures: Postures(), generation: 1)
    let end = monotonicNanoseconds()
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: compiled.bytes.count, alignment: 16)
    bytes.copyBytes(from: compiled.bytes)
    let checkStart = monotonicNanoseconds()
    let snapshot = try Snapshot(validating: UnsafeRawBufferPointer(bytes))
    return Compiled(
        snapshot: snapshot, size: bytes.count, compileMilliseconds: Double(end - start) / 1e6,
        checkMilliseconds: Double(monotonicNanoseconds() - checkStart) / 1e6)
}

func nanoseconds(_ operations: Operations, _ snapshot: Snapshot) -> Double {
    // As many as take some milliseconds, at least one round over the operations.
    let start = monotonicNanoseconds()
    blackHole = blackHole &+ operations.run(snapshot, repetitions: operations.count)
    let each = max((monotonicNanoseconds() - start) / UInt64(operations.count), 1)
    let repetitions = max(operations.count, Int(20_000_000 / each))
    // The best of five: other work on the machine only ever adds.
    var best = Double.infinity
    for _ in 0..<5 {
        let start = monotonicNanoseconds()
        blackHole = blackHole &+ operations.run(snapshot, repetitions: repetitions)
        best = min(best, Double(monotonicNanoseconds() - start) / Double(repetitions))
    }
    return best
}

func category(_ way: Workload.Way) -> PolicyEngine.Category { way == .execname ? .process : .file }

func printScaleTable() throws {
    print("ns per verdict (best of 5 runs), all facts known")
    print(
        column("rules", width: 7) + column("compile ms", width: 12) + column("check ms", width: 10)
            + column("KiB", width: 8) + Workload.Way.allCases.map { column($0.rawValue, width: 10) }.joined())
    for count in ruleCounts {
        let workload = Workload(ruleCount: count)
        let compiled = try compile(workload.policies)
        var line =
            column("\(count)", width: 7) + column(compiled.compileMilliseconds, digits: 1, width: 12)
            + column(compiled.checkMilliseconds, digits: 1, width: 10) + column("\(compiled.size / 1024)", width: 8)
        for way in Workload.Way.allCases {
            let operations = Operations(category(way), paths: (0..<256).map { workload.path(way, $0 * 37) })
            line += column(nanoseconds(operations, compiled.snapshot), digits: 0, width: 10)
        }
        print(line)
        fflush(nil)
    }
}

func printPatternTable() throws {
    print("\npatterns only: ns per verdict, and the slowest of single verdicts")
    print(
        ["patterns", "compile ms", "miss", "miss p99", "hit", "hit p99", "4095 x a", "worst"]
            .map { column($0, width: 11) }.joined())
    for count in [10, 1_000, 10_000] {
        let workload = Workload(patternCount: count)
        let compiled = try compile(workload.policies)
        let snapshot = compiled.snapshot
        let misses = Operations(.file, paths: (0..<256).map { "/srv/blue/tree/leaf-\($0)/plain-file.txt" })
        let hits = Operations(.file, paths: (0..<256).map { "/home/user/documents/report.ext\($0 % count / 4 * 4)" })
        let long = Operations(.file, paths: ["/srv/" + String(repeating: "a", count: 4_089)])
        let missTimes = misses.times(snapshot, repetitions: 2_000)
        let hitTimes = hits.times(snapshot, repetitions: 2_000)
        let longTimes = long.times(snapshot, repetitions: 20)
        print(
            column("\(count)", width: 11) + column(compiled.compileMilliseconds, digits: 1, width: 11)
                + column(nanoseconds(misses, snapshot), digits: 0, width: 11)
                + column("\(missTimes[missTimes.count * 99 / 100])", width: 11)
                + column(nanoseconds(hits, snapshot), digits: 0, width: 11)
                + column("\(hitTimes[hitTimes.count * 99 / 100])", width: 11)
                + column("\(longTimes[longTimes.count / 2])", width: 11)
                + column("\(max(longTimes.last ?? 0, 0))", width: 11))
    }
}

func printHostileTable() throws {
    print("\n10 000 hostile patterns (a million steps end it): us per verdict, by length of the path")
    let snapshot = try compile(Workload(hostileCount: 10_000).policies).snapshot
    for length in [30, 60, 100, 4_095] {
        let path = Operations(.file, paths: ["/" + String(repeating: "a", count: length - 1)])
        let times = path.times(snapshot, repetitions: 50)
        print(
            column("\(length)", width: 7) + column("\(times[times.count / 2] / 1_000)", width: 10)
                + column("\((times.last ?? 0) / 1_000)", width: 10))
    }
}

func askVerdicts(_ count: Int, allocating: Bool) throws {
    var workload = Workload(ruleCount: 10_000)
    workload.addOtherCategories()
    let snapshot = try compile(workload.policies).snapshot
    for way in Workload.Way.allCases {
        let operations = Operations(category(way), paths: (0..<16).map { workload.path(way, $0) })
        blackHole = blackHole &+ operations.run(snapshot, repetitions: count)
        let unknown = Operations(category(way), paths: (0..<16).map { workload.path(way, $0) }, known: [])
        blackHole = blackHole &+ unknown.run(snapshot, repetitions: count)
    }
    let other = OtherOperations()
    blackHole = blackHole &+ other.run(snapshot, repetitions: count)
    // What the counter must find, or it finds nothing.
    if allocating { for index in 0..<count { kept = [UInt64](repeating: UInt64(index), count: 8) } }
}

nonisolated(unsafe) var kept: [UInt64] = []

switch (CommandLine.arguments.dropFirst().first, CommandLine.arguments.dropFirst(2).first.flatMap { Int($0) }) {
case ("verdicts", let count?): try askVerdicts(count, allocating: false)
case ("allocating", let count?): try askVerdicts(count, allocating: true)
default:
    try printScaleTable()
    try printPatternTable()
    try printHostileTable()
}
