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

        /// Counts bytes for the quota.
        func use(_ bytes: Int) throws {
            try scratch.nft(
                "delete table inet portcullis; add table inet portcullis; "
                    + "add quota inet portcullis quota_p_Egress_0 { over 1 kbytes used \(bytes) bytes }")
        }

        var printed: String { get throws { try scratch.nft("list", "ruleset") } }
    }

    private static let old = RulesetPlannerTests.plan(RulesetPlannerTests.cases[1].policies).ruleset
    private static let new = RulesetPlannerTests.plan(RulesetPlannerTests.cases[0].policies).ruleset
    private static let quota = RulesetPlannerTests.plan([
        RulesetPlannerTests.policy("p", egress: [RulesetPlannerTests.rule(limit: "1K", duration: "1h")])
    ]).ruleset
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
        try test.table.apply(Self.quota, now: Self.now)
        try test.use(700)
        test.kernel.failures[.commit] = [.init(errno: ENOBUFS, happens: true)]
        let before = try #require(test.kernel.count[.commit])
        try test.table.apply(Self.quota, now: Self.now)
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
        // A list that was wrong by itself is not believed at once.
        test.kernel.failures[.commit] = [.init(errno: error), .init(errno: error)]
        try test.table.apply(Self.old, now: Self.now)
        #expect(!test.table.isChanged)
        // Without anybody else it is what it is.
        test.kernel.always[.commit] = error
        let before = try #require(test.kernel.count[.commit])
        let refused = #expect(throws: NetfilterError.self) { try test.table.apply(Self.new, now: Self.now) }
        #expect(refused?.errno == error && (test.kernel.count[.commit] ?? 0) - before <= 8)
    }

    /// The same, not told but true: somebody else has transactions without a pause, so that lists are interrupted (EINTR) and every number is
    /// soon an old one (ERESTART).
    @Test func aRulesetThatNeverRestsIsNoObstacle() throws {
        let test = try Table()
        let other = NetfilterSocket(owning: try test.scratch.run { try NetfilterSocket.open() })
        let restless = Restless(other)
        let thread = try KernelThread.start(name: "restless") { restless.run() }
        var count = 0
        // Whether they are in each other's way is up to the scheduler, as often as that it is.
        let deadline = Self.now + 120_000_000_000
        while count < 1000 || restless.transactions.load(ordering: .relaxed) < 100 {
            try test.table.apply(count % 2 == 0 ? Self.old : Self.new, now: Self.now)
            count += 1
            if Self.now > deadline { break }
        }
        restless.end()
        thread.join()
        #expect(!test.table.isChanged)
        // None of the interrupted lists has waited for an end that had come already.
        #expect(count >= 1000)
        #expect(restless.transactions.load(ordering: .relaxed) >= 100)
    }

    /// Somebody who is always faster does not keep a ruleset from coming into force: nobody asks for the number in the end.
    @Test func nobodyIsAlwaysFaster() throws {
        let test = try Table()
        try test.table.apply(Self.old, now: Self.now)
        try test.scratch.nft("add table inet foreign; add chain inet foreign theirs")
        test.kernel.isRestless = true
        try test.table.apply(Self.quota, now: Self.now)
        try test.use(700)
        try test.table.apply(Self.quota, now: Self.now)
        #expect(try test.printed.contains("over 1 kbytes used 700 bytes"))
        #expect(try test.printed.contains("chain theirs"))
        #expect(!test.table.isChanged)
        // It is not known whose change it was that nobody could be told of.
        test.kernel.failures[.changes] = [.init(errno: ENOBUFS)]
        #expect(test.table.readChanges() != nil)
        #expect(try test.table.remove())
        #expect(try !test.printed.contains("portcullis") && test.printed.contains("chain theirs"))
        #expect(try !test.table.remove())
    }

    /// Nor does somebody who never lets one look at the table, or changes that very table.
    @Test(arguments: [FailingKernel.Call.list, .commit]) func aTableIsMadeWithoutALookAtIt(_ call: FailingKernel.Call)
        throws
    {
        let test = try Table()
        try test.table.apply(Self.new, now: Self.now)
        let printed = try test.printed
        try test.table.apply(Self.old, now: Self.now)
        try test.scratch.nft("add table inet foreign; add chain inet foreign theirs")
        test.kernel.isRestless = true
        if call == .list {
            test.kernel.always[.list] = EINTR
        } else {
            test.kernel.failures[.commit] = Array(repeating: .init(errno: ENOENT), count: 48)
            test.kernel.failures[.commit]?.replaceSubrange(
                0..<16, with: repeatElement(.init(errno: ERESTART), count: 16))
        }
        try test.table.apply(Self.new, now: Self.now)
        // What cannot be looked at may be anything.
        #expect(test.table.isChanged == (call == .list))
        test.kernel.always = [:]
        if call == .list { try test.table.restore(now: Self.now) }
        #expect(!test.table.isChanged)
        try test.scratch.nft("delete table inet foreign")
        #expect(try test.printed == printed)
    }

    /// Adds and deletes a table of its own until it is told to end.
    private final class Restless: @unchecked Sendable {
        // Unchecked: the socket is used by one thread.
        private let isOver = Atomic(false)
        private let socket: NetfilterSocket
        let transactions = Atomic(0)

        init(_ socket: consuming NetfilterSocket) { self.socket = socket }

        func run() {
            while !isOver.load(ordering: .acquiring) {
                guard let batch = try? NetfilterBatch(table: "restless"), let generation = try? socket.generation()
                else {
                    continue
                }
                batch.addTable()
                for index in 0..<50 { batch.addChain("chain\(index)") }
                if transactions.load(ordering: .relaxed) % 2 == 1 { batch.deleteTable() }
                if (try? socket.commit(batch, generation: generation)) != nil {
                    transactions.add(1, ordering: .relaxed)
                }
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
        let before = try #require(test.kernel.count[.commit])
        let refused = #expect(throws: NetfilterError.self) { try test.table.apply(Self.new, now: Self.now) }
        #expect(refused?.errno == error && (test.kernel.count[.commit] ?? 0) - before <= 80)
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
