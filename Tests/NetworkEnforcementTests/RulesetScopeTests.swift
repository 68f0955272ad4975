import Foundation
import LinuxKernel
import PolicyEngine
import PolicyModel
import Testing

@testable import NetworkEnforcement

/// Rules of workloads that share a network. `RECORD_SNAPSHOTS=1` writes the golden file anew and fails.
@Suite("Shared networks")
struct RulesetScopeTests {
    private static let container = SnapshotBundle.container(12)

    private static func scoped() throws -> Ruleset {
        let fields = RulesetPlannerTests.plan(RulesetPlannerTests.cases[0].policies).ruleset
        let quotas = RulesetPlannerTests.plan(RulesetPlannerTests.cases[7].policies).ruleset
        let closed = RulesetPlannerTests.plan(
            RulesetPlannerTests.cases[4].policies, protocols: try RulesetPlannerTests.protocols([(.udp, .block)]),
            posture: .block
        ).ruleset
        return RulesetPlannerTests.plan(RulesetPlannerTests.cases[3].policies).ruleset.joined(with: [
            Ruleset.Scoped(workload: 7, scope: .cgroup(id: 4242, level: 3), ruleset: fields),
            Ruleset.Scoped(workload: 8, scope: .netClass(0x5043_0001), ruleset: quotas),
            Ruleset.Scoped(workload: Self.container, scope: .users(100_000...165_535), ruleset: closed),
            Ruleset.Scoped(workload: 9, scope: .cgroup(id: 1, level: 1), ruleset: Ruleset(logGroup: 1)),
        ])
    }

    @Test func aSharedNetworkIsItsGoldenText() throws {
        let text = try Self.scoped().text
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "Golden/shared.nft")
        if ProcessInfo.processInfo.environment["RECORD_SNAPSHOTS"] == "1" {
            try text.write(to: file, atomically: true, encoding: .utf8)
            Issue.record("recorded shared")
        }
        #expect(text == (try String(contentsOf: file, encoding: .utf8)))
    }

    @Test func theKernelHasWhatWasJoined() throws {
        let scratch = try ScratchNamespace()
        let ruleset = try Self.scoped()
        try scratch.run {
            let table = NetworkTable(try NetworkTable.Sockets())
            try table.apply(ruleset, now: KernelClock.monotonic)
        }
        let printed = try scratch.nft("list", "table", "inet", "portcullis")
        // nft has a name for the class of traffic control, and looks for the directory of a cgroup.
        let known = ruleset.text.replacingOccurrences(of: "meta cgroup 1346568193", with: "meta cgroup 1346568193")
        #expect(NetworkTableTests.parts(printed) == NetworkTableTests.parts(known))
    }

    /// Two workloads with the same policies have nothing in common in the table but the entrances.
    @Test func workloadsDoNotMeet() throws {
        let quotas = RulesetPlannerTests.plan(RulesetPlannerTests.cases[7].policies).ruleset
        let joined = Ruleset(logGroup: 0).joined(
            with: [3, 4].map { Ruleset.Scoped(workload: $0, scope: .cgroup(id: $0, level: 1), ruleset: quotas) })
        #expect(
            joined.quotas.count == 2 * quotas.quotas.count
                && Set(joined.quotas.map(\.name)).count == joined.quotas.count)
        #expect(Set(joined.sets.map(\.name)).count == joined.sets.count)
        #expect(Set(joined.chains.map(\.name)).count == joined.chains.count)
        #expect(joined.chains.filter { $0.hook != nil }.allSatisfy { $0.rules.count == 2 })
        #expect(joined.logGroup == quotas.logGroup)
        // What it logs tells whose it is.
        let tags = joined.chains.flatMap(\.rules).compactMap(\.log).compactMap { text in
            Array(text.utf8).withUnsafeBytes { PacketTag($0) }
        }
        #expect(
            Set(tags.map(\.workload)) == [3, 4]
                && tags.count == joined.chains.flatMap(\.rules).filter { $0.log != nil }.count)
    }

    @Test func placesSurviveTheirNotes() {
        let places: [WorkloadNetwork] = [
            .own, .indistinct, .shared(scope: .users(5...9), name: "", directory: ""),
            .shared(scope: .netClass(0x5043_0001), name: "/a b", directory: "/sys/fs/cgroup/net_cls/a b"),
            .shared(scope: .cgroup(id: .max, level: 2), name: "/ä\n", directory: ""),
        ]
        for place in places {
            #expect(WorkloadNetwork(note: place.note.split(separator: " ")) == place)
            #expect(!place.text.isEmpty)
        }
        for text in [
            "", "cgroup 1 2 x", "cgroup x 2 x x", "users 9 5 x x", "class 99999999999 0 x x", "cgroup 1 1 x1 x",
        ] {
            #expect(WorkloadNetwork(note: text.split(separator: " ")) == nil, "\(text)")
        }
    }
}
