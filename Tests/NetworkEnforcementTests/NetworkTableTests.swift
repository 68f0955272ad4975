import Foundation
import Glibc
import LinuxKernel
import PolicyModel
import Synchronization
import Testing

@testable import NetworkEnforcement

/// Tables in the real kernel, each in a network namespace of its own.
@Suite("Network tables", .serialized)
struct NetworkTableTests {
    private static func collapsed(_ text: String) -> String {
        text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    private static func makeTable() throws -> NetworkTable { NetworkTable(try NetworkTable.Sockets()) }

    private static var now: UInt64 { KernelClock.monotonic }

    /// What nft prints is the golden text of the plan, word for word.
    @Test(arguments: RulesetPlannerTests.cases.indices) func theKernelHasWhatWasPlanned(_ index: Int) throws {
        let scratch = try ScratchNamespace()
        let ruleset = try RulesetPlannerTests.ruleset(index)
        try scratch.run {
            let table = try Self.makeTable()
            try table.apply(ruleset, now: Self.now)
            #expect(!table.isChanged)
        }
        let tables = try scratch.nft("list", "tables")
        if ruleset.isEmpty {
            #expect(tables == "")
        } else {
            let printed = try scratch.nft("list", "table", "inet", "portcullis")
            // nft prints the objects of one kind in the order of its own table; ours stand as they were made.
            #expect(Self.parts(printed) == Self.parts(ruleset.text))
        }
    }

    /// The blocks of a table, in no order, without line breaks.
    static func parts(_ text: String) -> [String] {
        text.components(separatedBy: "\n\t}").map(collapsed).map {
            $0.replacingOccurrences(of: "table inet portcullis { ", with: "")
        }.sorted()
    }

    /// From every golden ruleset to every other one, and the tables of others stay as they are.
    @Test func anyRulesetFollowsAnyOther() throws {
        let scratch = try ScratchNamespace()
        try scratch.nft("add table inet foreign; add chain inet foreign c; add rule inet foreign c counter accept")
        let foreign = try scratch.nft("list", "table", "inet", "foreign")
        let rulesets = try RulesetPlannerTests.cases.indices.map { try RulesetPlannerTests.ruleset($0) }
        try scratch.run {
            let table = try Self.makeTable()
            // That of names has hundreds of chains, and follows and precedes a few of them.
            let large = try #require(RulesetPlannerTests.cases.firstIndex { $0.name == "names" })
            for (index, first) in rulesets.enumerated() {
                for (other, second) in rulesets.enumerated()
                where index != large && other != large || index < 2 || other < 2 {
                    try table.apply(first, now: Self.now)
                    try table.apply(second, now: Self.now)
                    let printed =
                        second.isEmpty ? "" : try scratch.nft("list", "table", "inet", "portcullis")
                    #expect(Self.parts(printed) == Self.parts(second.text))
                }
            }
            try table.apply(Ruleset(logGroup: 0), now: Self.now)
        }
        #expect(try scratch.nft("list", "tables") == "table inet foreign\n")
        #expect(try scratch.nft("list", "table", "inet", "foreign") == foreign)
    }

    @Test func aTransactionIsRefusedWhenTheRulesetIsAnotherOne() throws {
        let scratch = try ScratchNamespace()
        try scratch.run {
            let socket = NetfilterSocket(owning: try NetfilterSocket.open())
            let generation = try socket.generation()
            let ruleset = RulesetPlannerTests.plan(RulesetPlannerTests.cases[0].policies).ruleset
            let error = #expect(throws: NetfilterError.self) {
                try socket.commit(
                    try ruleset.batch(replacing: Ruleset.Present()), generation: generation &+ 1)
            }
            #expect(error?.errno == ERESTART)
            #expect(try socket.list(.chains, table: Ruleset.table) == [])
            try socket.commit(try ruleset.batch(replacing: Ruleset.Present()), generation: generation)
            #expect(try socket.generation() == generation &+ 1)
        }
    }

    /// All or nothing, and what was refused is named.
    @Test func aRefusedTransactionLeavesNothing() throws {
        let scratch = try ScratchNamespace()
        try scratch.run {
            let table = try Self.makeTable()
            var good = RulesetPlannerTests.plan(RulesetPlannerTests.cases[0].policies).ruleset
            try table.apply(good, now: Self.now)
            let before = try scratch.nft("list", "ruleset")
            good.chains[0].rules.append(
                Ruleset.Rule(matches: [.transport(6), .portSet("absent")], action: .decide(.drop)))
            let error = #expect(throws: NetfilterError.self) { try table.apply(good, now: Self.now) }
            #expect(error?.errno == ENOENT && error?.subject == "rule in input")
            #expect(try scratch.nft("list", "ruleset") == before)
            // A chain that another one still goes to.
            let socket = NetfilterSocket(owning: try NetfilterSocket.open())
            let batch = try NetfilterBatch(table: Ruleset.table)
            batch.deleteChain("rule-3")
            let busy = #expect(throws: NetfilterError.self) {
                try socket.commit(batch, generation: try socket.generation())
            }
            #expect(busy?.errno == EBUSY && busy?.subject == "chain rule-3")
            #expect(try scratch.nft("list", "ruleset") == before)
        }
    }

    @Test func withoutTheRightNothingIsChanged() throws {
        let scratch = try ScratchNamespace()
        try scratch.run {
            let table = try Self.makeTable()
            try Capabilities.apply(permitted: [], effective: [], inheritable: [])
            let ruleset = RulesetPlannerTests.plan(RulesetPlannerTests.cases[0].policies).ruleset
            let error = #expect(throws: NetfilterError.self) { try table.apply(ruleset, now: Self.now) }
            #expect(error?.errno == EPERM)
            #expect(table.features == [])
        }
        #expect(try scratch.nft("list", "tables") == "")
    }

    @Test func whatTheKernelHasIsFound() throws {
        let scratch = try ScratchNamespace()
        let features = try scratch.run { try Self.makeTable().features }
        #expect(features == .all)
        #expect(try scratch.nft("list", "tables") == "")
    }

    /// Whoever touches the table is seen and named; whoever touches another one is not.
    @Test(arguments: [
        "flush ruleset", "delete table inet portcullis", "flush chain inet portcullis input",
        "insert rule inet portcullis input accept", "add element inet portcullis rule-5-ipv4 { 1.2.3.4 }",
        "add chain inet portcullis more",
    ]) func aChangeIsSeenAndUndone(_ command: String) throws {
        let scratch = try ScratchNamespace()
        let ruleset = RulesetPlannerTests.plan(RulesetPlannerTests.cases[0].policies).ruleset
        try scratch.run {
            let table = try Self.makeTable()
            try table.apply(ruleset, now: Self.now)
            try scratch.nft("add table inet other; add chain inet other c; delete table inet other")
            Readiness.wait(table.changeDescriptor, timeoutMilliseconds: 1000)
            #expect(table.readChanges() == nil)
            try scratch.nft(command)
            Readiness.wait(table.changeDescriptor, timeoutMilliseconds: 1000)
            let intruder = try #require(table.readChanges())
            #expect(intruder.name == "nft" && intruder.process > 0)
            try table.restore(now: Self.now)
            #expect(Self.parts(try scratch.nft("list", "table", "inet", "portcullis")) == Self.parts(ruleset.text))
            #expect(table.readChanges() == nil && !table.isChanged)
        }
    }

    /// Changes that come faster than they are read: the socket overflows (ENOBUFS), and the table itself tells.
    @Test func aFloodOfChangesHidesNone() throws {
        let scratch = try ScratchNamespace()
        let ruleset = RulesetPlannerTests.plan(RulesetPlannerTests.cases[0].policies).ruleset
        try scratch.run {
            let table = try Self.makeTable()
            try table.apply(ruleset, now: Self.now)
            try scratch.nft("flush chain inet portcullis input")
            let sets = (0..<200).map { "add set inet noise s\($0) { type ipv4_addr; }" }.joined(separator: "; ")
            let elements = (0..<20_000).map { "10.\($0 / 65536).\($0 / 256 % 256).\($0 % 256)" }.joined(separator: ",")
            let file = FileManager.default.temporaryDirectory.appendingPathComponent(scratch.name + ".nft")
            try "add table inet noise; \(sets); add element inet noise s0 { \(elements) }"
                .write(to: file, atomically: true, encoding: .utf8)
            defer { try? FileManager.default.removeItem(at: file) }
            for _ in 0..<3 { try scratch.nft("-f", file.path) }
            #expect(table.readChanges() != nil)
        }
    }

    /// Rules are replaced while packets go: what both the old and the new rules forbid never passes. The control, which deletes a table before
    /// it makes the next, lets some through.
    @Test(arguments: [true, false]) func nothingPassesBetweenTwoRulesets(_ isAtomic: Bool) throws {
        let scratch = try ScratchNamespace()
        let forbidden = RulesetPlannerTests.rule(ports: [NetworkPolicyPort(port: "4242", protocolName: "UDP")])
        let rulesets = [
            RulesetPlannerTests.plan([RulesetPlannerTests.policy("a", egress: [forbidden])]).ruleset,
            RulesetPlannerTests.plan([
                RulesetPlannerTests.policy(
                    "b",
                    egress: [
                        RulesetPlannerTests.rule(.allow, cidrs: ["192.0.2.0/24", "2001:db8::/32"]),
                        RulesetPlannerTests.rule(interfaces: ["eth0", "eth1"]), forbidden,
                    ])
            ]).ruleset,
        ].map { ruleset in
            // There is nothing but loopback here, which rules let through first.
            var ruleset = ruleset
            ruleset.chains = ruleset.chains.map { chain in
                var chain = chain
                if chain.hook != nil { chain.rules.removeFirst() }
                return chain
            }
            return ruleset
        }
        try scratch.run {
            let table = try Self.makeTable()
            let (receiver, sender) = (
                socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0), socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
            )
            defer {
                close(receiver)
                close(sender)
            }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = UInt16(4242).bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            let destination = address
            func withAddress(_ body: (UnsafePointer<sockaddr>) -> Int) -> Int {
                withUnsafePointer(to: destination) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0) }
                }
            }
            #expect(withAddress { Int(bind(receiver, $0, 16)) } == 0)
            // Without rules it arrives.
            #expect(withAddress { sendto(sender, "x", 1, 0, $0, 16) } == 1)
            var byte: UInt8 = 0
            #expect(recv(receiver, &byte, 1, 0) == 1)
            try table.apply(rulesets[0], now: Self.now)
            let traffic = Traffic {
                withAddress { sendto(sender, "x", 1, 0, $0, 16) } < 0 && errno == EPERM
            }
            let thread = try KernelThread.start(name: "sender") { traffic.run() }
            if isAtomic {
                for count in 1...10_000 { try table.apply(rulesets[count % 2], now: Self.now) }
            } else {
                let socket = NetfilterSocket(owning: try NetfilterSocket.open())
                for count in 1...1000 {
                    for ruleset in [Ruleset(logGroup: 0), rulesets[count % 2]] {
                        try socket.commit(
                            try ruleset.batch(replacing: Ruleset.Present()), generation: try socket.generation())
                    }
                }
            }
            traffic.end()
            thread.join()
            var arrived = 0
            while recv(receiver, &byte, 1, Int32(MSG_DONTWAIT)) == 1 { arrived += 1 }
            #expect(traffic.sent > 10_000)
            #expect((arrived > 0) == !isAtomic)
            #expect((traffic.refused == traffic.sent) == isAtomic)
        }
    }

    /// Packets without a pause, from a thread of their own.
    private final class Traffic: @unchecked Sendable {
        private let isOver = Atomic(false)
        private let send: () -> Bool
        private(set) var sent = 0
        private(set) var refused = 0

        /// - Parameter send: sends a packet; whether it was refused.
        init(_ send: @escaping () -> Bool) { self.send = send }

        func run() {
            while !isOver.load(ordering: .acquiring) {
                sent += 1
                if send() { refused += 1 }
            }
        }

        func end() { isOver.store(true, ordering: .releasing) }
    }

    @Test func aQuotaGoesOnCountingUntilItsWindowIsOver() throws {
        let scratch = try ScratchNamespace()
        let quota = RulesetPlannerTests.rule(limit: "1K", duration: "1h")
        let ruleset = RulesetPlannerTests.plan([RulesetPlannerTests.policy("p", egress: [quota])]).ruleset
        try scratch.run {
            let table = try Self.makeTable()
            let start = Self.now
            try table.apply(ruleset, now: start)
            try scratch.nft("reset quotas")
            func used() throws -> UInt64 {
                let socket = NetfilterSocket(owning: try NetfilterSocket.open())
                return try socket.list(.quotas, table: Ruleset.table).first?.used ?? 0
            }
            try scratch.nft(
                "delete table inet portcullis; add table inet portcullis; "
                    + "add quota inet portcullis quota_p_Egress_0 { over 1 kbytes used 700 bytes }")
            try table.restore(now: start)
            #expect(try used() == 700)
            #expect(table.nextReset == start + 3600 * 1_000_000_000)
            // Other rules come, the quota stays.
            let more = RulesetPlannerTests.plan([
                RulesetPlannerTests.policy("p", ingress: [RulesetPlannerTests.rule()], egress: [quota])
            ]).ruleset
            try table.apply(more, now: start + 5)
            #expect(try used() == 700)
            #expect(table.nextReset == start + 3600 * 1_000_000_000)
            #expect(!table.resetQuotas(now: start + 10))
            #expect(try used() == 700)
            #expect(table.resetQuotas(now: start + 2 * 3600 * 1_000_000_000 + 5))
            #expect(try used() == 0)
            #expect(table.nextReset == start + 3 * 3600 * 1_000_000_000)
            // Another amount is another quota.
            let other = RulesetPlannerTests.rule(limit: "2K", duration: "1h")
            try table.apply(
                RulesetPlannerTests.plan([RulesetPlannerTests.policy("p", egress: [other])]).ruleset, now: start)
            #expect(try used() == 0)
        }
    }
}
