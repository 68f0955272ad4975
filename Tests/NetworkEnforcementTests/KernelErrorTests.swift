import Glibc
import LinuxKernel
import Synchronization
import Testing

@testable import NetworkEnforcement

/// What the kernel may answer, and what becomes of the table then.
@Suite("Errors of nf_tables", .serialized)
struct KernelErrorTests {
    private struct Table {
        let scratch: ScratchNamespace
        let kernel: FailingKernel
        let table: NetworkTable

        init() throws {
            scratch = try ScratchNamespace()
            let sockets = try scratch.run { try NetworkTable.Sockets() }
            kernel = FailingKernel(sockets)
            table = NetworkTable(sockets, kernel)
        }

        var printed: String { get throws { try scratch.nft("list", "ruleset") } }
    }

    private static let old = RulesetPlannerTests.plan(RulesetPlannerTests.cases[1].policies).ruleset
    private static let new = RulesetPlannerTests.plan(RulesetPlannerTests.cases[0].policies).ruleset
    private static var now: UInt64 { KernelClock.monotonic }

    /// What may go away by itself is tried again: an interrupted list or send, an answer that was lost on the way, a ruleset that somebody
    /// else has changed meanwhile, something in use.
    @Test(
        arguments: [EINTR, ENOBUFS, ERESTART, EBUSY], [FailingKernel.Call.generation, .list, .commit]
    ) func whatPassesIsTriedAgain(_ error: Int32, _ call: FailingKernel.Call) throws {
        let test = try Table()
        try test.table.apply(Self.old, now: Self.now)
        test.kernel.failures[call] = [.init(errno: error), .init(errno: error), .init(errno: error)]
        try test.table.apply(Self.new, now: Self.now)
        #expect(test.kernel.failures[call] == nil || test.kernel.failures[call]?.isEmpty == true)
        #expect(!test.table.isChanged)
        let printed = try test.printed
        try test.table.apply(Self.new, now: Self.now)
        #expect(try test.printed == printed && printed.contains("chain rule-3"))
    }

    /// The transaction happened, and nobody said so: looked at again, it is replaced by itself, and quotas go on counting.
    @Test func aLostAnswerIsNoLostTransaction() throws {
        let test = try Table()
        let quota = RulesetPlannerTests.plan([
            RulesetPlannerTests.policy("p", egress: [RulesetPlannerTests.rule(limit: "1K", duration: "1h")])
        ]).ruleset
        try test.table.apply(quota, now: Self.now)
        try test.scratch.nft(
            "delete table inet portcullis; add table inet portcullis; "
                + "add quota inet portcullis quota_p_Egress_0 { over 1 kbytes used 700 bytes }")
        test.kernel.failures[.commit] = [.init(errno: ENOBUFS, happens: true)]
        let before = try #require(test.kernel.count[.commit])
        try test.table.apply(quota, now: Self.now)
        #expect(test.kernel.count[.commit] == before + 2)
        #expect(try test.printed.contains("over 1 kbytes used 700 bytes"))
        #expect(!test.table.isChanged)
    }

    /// Kernels that do not compare the ruleset's number say that something is not there, or is: told from an error of ours by the number.
    @Test(arguments: [ENOENT, EEXIST]) func whatSomebodyElseTookAwayIsLookedAtAgain(_ error: Int32) throws {
        let test = try Table()
        try test.table.apply(Self.old, now: Self.now)
        test.kernel.failures[.commit] = [
            .init(errno: error, meanwhile: { _ = try? test.scratch.nft("flush ruleset; add table inet foreign") })
        ]
        try test.table.apply(Self.new, now: Self.now)
        #expect(!test.table.isChanged)
        #expect(try test.printed.contains("chain rule-3") && test.printed.contains("table inet foreign"))
        // Without anybody else it is what it is.
        test.kernel.failures[.commit] = [.init(errno: error)]
        let refused = #expect(throws: NetfilterError.self) { try test.table.apply(Self.old, now: Self.now) }
        #expect(refused?.errno == error)
    }

    /// The same, not told but true: somebody else has transactions without a pause, so that lists are interrupted (EINTR) and every number is
    /// soon an old one (ERESTART).
    @Test func aRulesetThatNeverRestsIsNoObstacle() throws {
        let test = try Table()
        let other = NetfilterSocket(owning: try test.scratch.run { try NetfilterSocket.open() })
        let restless = Restless(other)
        let thread = try KernelThread.start(name: "restless") { restless.run() }
        for count in 0..<40 { try test.table.apply(count % 2 == 0 ? Self.old : Self.new, now: Self.now) }
        restless.end()
        thread.join()
        #expect(restless.transactions > 40)
        #expect(!test.table.isChanged)
        #expect((test.kernel.count[.commit] ?? 0) > 40)
    }

    /// Adds and deletes a table of its own until it is told to end.
    private final class Restless: @unchecked Sendable {
        // Unchecked: the count is read after the thread was joined.
        private let isOver = Atomic(false)
        private let socket: NetfilterSocket
        private(set) var transactions = 0

        init(_ socket: consuming NetfilterSocket) { self.socket = socket }

        func run() {
            while !isOver.load(ordering: .acquiring) {
                guard let batch = try? NetfilterBatch(table: "restless"), let generation = try? socket.generation()
                else {
                    continue
                }
                batch.addTable()
                for index in 0..<50 { batch.addChain("chain\(index)") }
                if transactions % 2 == 1 { batch.deleteTable() }
                if (try? socket.commit(batch, generation: generation)) != nil { transactions += 1 }
            }
        }

        func end() { isOver.store(true, ordering: .releasing) }
    }

    /// What does not pass is said at once, or after a while, and leaves the table as it was.
    @Test(arguments: [EPERM, EOPNOTSUPP, EINVAL, EMSGSIZE, EBUSY, ERESTART]) func whatStaysIsSaid(_ error: Int32) throws
    {
        let test = try Table()
        try test.table.apply(Self.old, now: Self.now)
        let printed = try test.printed
        test.kernel.always[.commit] = error
        let start = Self.now
        let refused = #expect(throws: NetfilterError.self) { try test.table.apply(Self.new, now: Self.now) }
        #expect(refused?.errno == error && Self.now - start < 3_000_000_000)
        #expect(try test.printed == printed)
        #expect(test.table.ruleset == Self.old)
        test.kernel.always = [:]
        #expect(!test.table.isChanged)
        try test.table.apply(Self.new, now: Self.now)
        #expect(!test.table.isChanged)
    }

    /// Changes that nobody could be told of, as there were too many: the table itself tells.
    @Test func lostChangesAreFound() throws {
        let test = try Table()
        try test.table.apply(Self.new, now: Self.now)
        test.kernel.failures[.changes] = [.init(errno: ENOBUFS)]
        #expect(test.table.readChanges() == nil)
        try test.scratch.nft("flush chain inet portcullis input")
        test.kernel.failures[.changes] = [.init(errno: ENOBUFS)]
        #expect(test.table.readChanges() == NetworkTable.Intruder(process: 0, name: ""))
        try test.table.restore(now: Self.now)
        #expect(!test.table.isChanged)
    }

    /// It cannot be made again now; it is as soon as it can.
    @Test func whatCannotBeMadeAgainIsNotForgotten() throws {
        let test = try Table()
        try test.table.apply(Self.new, now: Self.now)
        try test.scratch.nft("delete table inet portcullis")
        test.kernel.always[.commit] = EPERM
        #expect(throws: NetfilterError.self) { try test.table.restore(now: Self.now) }
        #expect(test.table.isLost)
        test.kernel.always = [:]
        try test.table.restore(now: Self.now)
        #expect(!test.table.isLost && !test.table.isChanged)
    }

    /// A quota that cannot be begun anew now is tried again soon, not in a window.
    @Test func aResetThatFailsIsTriedAgain() throws {
        let test = try Table()
        let ruleset = RulesetPlannerTests.plan([
            RulesetPlannerTests.policy("p", egress: [RulesetPlannerTests.rule(limit: "1K", duration: "1h")])
        ]).ruleset
        let (start, hour) = (Self.now, UInt64(3600) * 1_000_000_000)
        try test.table.apply(ruleset, now: start)
        test.kernel.failures[.reset] = [.init(errno: EINTR), .init(errno: ENOENT)]
        #expect(!test.table.resetQuotas(now: start + hour))
        let next = try #require(test.table.nextReset)
        #expect(next > start + hour && next < start + hour + 2_000_000_000)
        #expect(!test.table.resetQuotas(now: next))
        #expect(test.table.resetQuotas(now: next + 1_000_000_000))
        #expect(test.table.nextReset == start + 2 * hour)
    }
}
