import EventRing
import FileEnforcement
import LinuxKernel
import PolicyEngine
import Synchronization

/// Keeps the tables of the host and of containers: puts rulesets in force, makes them again when somebody else changed them,
/// begins quotas anew, and tells of what they refuse. Packets never wait for it: the kernel decides them.
public final class NetworkEnforcer: Sendable {
    private struct State: ~Copyable {
        var tables: [UInt64: NetworkTable] = [:]
        /// Containers that have the host's network.
        var sharing: Set<UInt64> = []
        var generation: UInt64 = 0
        var features: NetworkFeatures?
        /// Of the last generations: packets are read some time after they were logged.
        var names: [(generation: UInt64, rules: NameRules)] = []
    }

    /// Generations whose rules on names are kept.
    private static let history = 4

    private let board: StatusBoard
    private let state = Mutex(State())
    private let wake: Int32
    private let mayFilter: Bool

    /// - Parameter mayFilter: this process has CAP_NET_ADMIN.
    public init(board: StatusBoard, mayFilter: Bool) throws(KernelError) {
        self.board = board
        self.mayFilter = mayFilter
        wake = try EventDescriptor.make()
    }

    /// Puts the rulesets of a generation in force, in place of what there was: of all workloads or, when this throws, of none.
    ///
    /// - Parameter names: what the policies of the generation say of names.
    /// - Returns: what of them is not enforced, by workload.
    public func load(
        _ bundle: NetworkBundle, names: NameRules = NameRules(), generation: UInt64
    ) throws(NetfilterError) -> [UInt64: [PlanNote]] {
        let result = state.withLock { state in
            // Before the first packet is logged in their name.
            state.names.removeAll { $0.generation == generation }
            state.names.append((generation, names))
            if state.names.count > Self.history { state.names.removeFirst() }
            return load(bundle, generation, &state)
        }
        EventDescriptor.signal(wake)
        return try result.get()
    }

    private func load(
        _ bundle: NetworkBundle, _ generation: UInt64, _ state: inout State
    ) -> Result<[UInt64: [PlanNote]], NetfilterError> {
        var notes: [UInt64: [PlanNote]] = [:]
        var done: [(table: NetworkTable, before: Ruleset)] = []
        openHost(&state)
        // Containers that lost all their rules too.
        let workloads = Set(bundle.rulesets.keys).union(state.tables.keys)
        for workload in workloads.sorted() {
            let wanted = bundle.rulesets[workload] ?? Ruleset(logGroup: 0)
            let before = state.tables[workload]?.ruleset
            do {
                let found = try put(wanted, workload, &state)
                if !found.isEmpty { notes[workload] = found }
            } catch {
                for (table, before) in done { try? table.apply(before, now: KernelClock.monotonic) }
                return .failure(error)
            }
            if let table = state.tables[workload], let before { done.append((table, before)) }
        }
        state.generation = generation
        countRules(state)
        return .success(notes)
    }

    /// Puts the ruleset of one workload in force, in place of what there was of it.
    ///
    /// - Returns: what of it is not enforced.
    public func put(_ ruleset: Ruleset, for workload: UInt64) throws(NetfilterError) -> [PlanNote] {
        let result = state.withLock { state -> Result<[PlanNote], NetfilterError> in
            defer { countRules(state) }
            do throws(NetfilterError) { return .success(try put(ruleset, workload, &state)) } catch {
                return .failure(error)
            }
        }
        EventDescriptor.signal(wake)
        return try result.get()
    }

    private func put(
        _ wanted: Ruleset, _ workload: UInt64, _ state: inout State
    ) throws(NetfilterError) -> [PlanNote] {
        var notes: Set<PlanNote> = []
        if let table = state.tables[workload] {
            let features = features(&state, table, wanted)
            try table.apply(wanted.reduced(to: features), now: KernelClock.monotonic)
            notes.formUnion(Self.notes(wanted, features))
            table.bindLog()
            if !table.isLogBound { notes.insert(PlanNote(rule: .none, gap: .packetsUnlogged)) }
        } else if !wanted.isEmpty {
            notes.formUnion(Self.notes(wanted, sharesNetwork: state.sharing.contains(workload)))
        }
        return notes.sorted { $0.rule.rawValue < $1.rule.rawValue }
    }

    private func countRules(_ state: borrowing State) {
        board.set(.packetRules, UInt64(state.tables.values.reduce(0) { $0 + $1.ruleset.ruleCount }))
    }

    /// What this kernel offers; asked once, and not at all while no policy needs it.
    private func features(_ state: inout State, _ table: NetworkTable, _ wanted: Ruleset) -> NetworkFeatures {
        if wanted.isEmpty { return .all }
        if let known = state.features { return known }
        let features = table.features
        state.features = features
        return features
    }

    private func openHost(_ state: inout State) {
        guard mayFilter, state.tables[SnapshotBundle.host] == nil, let sockets = try? NetworkTable.Sockets() else {
            return
        }
        state.tables[SnapshotBundle.host] = NetworkTable(sockets)
    }

    /// Why a ruleset that has no table is not enforced.
    private static func notes(_ ruleset: Ruleset, sharesNetwork: Bool) -> [PlanNote] {
        // What only lets packets through has no chain of its own to be known by.
        (ruleset.policyRules + [.none]).map {
            PlanNote(rule: $0, gap: sharesNetwork ? .hostNetwork : .packetsUnfiltered)
        }
    }

    private static func notes(_ ruleset: Ruleset, _ features: NetworkFeatures) -> [PlanNote] {
        let missing = ruleset.needs.subtracting(features)
        if !missing.isDisjoint(with: [.tables, .flows]) { return notes(ruleset, sharesNetwork: false) }
        var notes: [PlanNote] = []
        if missing.contains(.logs) { notes.append(PlanNote(rule: .none, gap: .packetsUnlogged)) }
        if missing.contains(.quotas) {
            notes += ruleset.quotaRules.map { PlanNote(rule: $0, gap: .quotaUnavailable) }
        }
        return notes
    }

    // MARK: - Containers

    /// Takes the network of a container in, whose rules come with the next generation.
    public func add(process: Int32, as workload: UInt64) throws(KernelError) {
        guard mayFilter, state.withLock({ $0.tables[workload] == nil && !$0.sharing.contains(workload) }) else {
            return
        }
        let namespace = try NetworkNamespace(of: process)
        if namespace.isOwn {
            state.withLock { _ = $0.sharing.insert(workload) }
            return
        }
        let table = NetworkTable(try namespace.run { () throws(KernelError) in try NetworkTable.Sockets() })
        state.withLock { $0.tables[workload] = table }
    }

    /// A container is no more; its network went with it.
    public func remove(_ workload: UInt64) {
        state.withLock {
            $0.tables[workload] = nil
            $0.sharing.remove(workload)
        }
        EventDescriptor.signal(wake)
    }

    /// Deletes every table.
    public func removeAll() {
        state.withLock { state in
            for table in state.tables.values {
                try? table.apply(Ruleset(logGroup: 0), now: KernelClock.monotonic)
            }
        }
    }

    /// Deletes the table of the calling process' network namespace, for when there is no agent that could.
    ///
    /// - Returns: whether there was one.
    public static func removeTable() throws(NetfilterError) -> Bool {
        guard let sockets = try? NetworkTable.Sockets() else { return false }
        return try NetworkTable(sockets).remove()
    }

    // MARK: - Thread

    /// Starts to look after the tables. Reports are written by that thread alone.
    public func serve(_ reporter: PacketReporter) throws(KernelError) {
        _ = try KernelThread.start(name: "netfilter") { [self] in
            var memory = FlowMemory()
            while true { turn(reporter, &memory) }
        }
    }

    private func turn(_ reporter: PacketReporter, _ memory: inout FlowMemory) {
        var poll = PollSet()
        poll.add(wake, .readable)
        let next = state.withLock { state in
            for table in state.tables.values {
                poll.add(table.changeDescriptor, .readable)
                poll.add(table.logDescriptor, .readable)
            }
            return state.tables.values.compactMap(\.nextReset).min()
        }
        _ = poll.wait(timeoutMilliseconds: Self.patience(until: next))
        if poll.isReady(0) { EventDescriptor.drain(wake) }
        state.withLock { state in
            let now = KernelClock.monotonic
            let names = state.names
            for (workload, table) in state.tables {
                let container = UInt32(truncatingIfNeeded: SnapshotBundle.number(ofContainer: workload))
                if let intruder = table.readChanges() {
                    restore(table, intruder, state.generation, container, now, reporter)
                } else if table.isLost {
                    try? table.restore(now: now)
                }
                if table.resetQuotas(now: now) { memory.forgetQuotas() }
                readLog(table, workload, names, reporter, &memory)
                if !table.isLogBound { table.bindLog() }
            }
        }
    }

    /// A second at the latest: what an event was missed of is then seen all the same.
    private static func patience(until next: UInt64?) -> Int32 {
        guard let next else { return 1000 }
        let now = KernelClock.monotonic
        return next <= now ? 0 : Int32(min(1000, (next - now) / 1_000_000 + 1))
    }

    private func restore(
        _ table: NetworkTable, _ intruder: NetworkTable.Intruder, _ generation: UInt64, _ container: UInt32,
        _ now: UInt64,
        _ reporter: PacketReporter
    ) {
        var row = FailureRow.rulesetChanged
        do { try table.restore(now: now) } catch { row = .rulesetLost }
        reporter.report(
            row, process: intruder.process, name: intruder.name, generation: generation, container: container, board)
    }

    private func readLog(
        _ table: NetworkTable, _ workload: UInt64, _ names: [(generation: UInt64, rules: NameRules)],
        _ reporter: PacketReporter, _ memory: inout FlowMemory
    ) {
        guard table.logDescriptor >= 0 else { return }
        let container = UInt32(truncatingIfNeeded: SnapshotBundle.number(ofContainer: workload))
        var told = memory
        let isComplete = table.readLog { packet in
            board.add(.loggedPackets)
            guard let tag = PacketTag(packet.prefix), let parsed = PacketHeader.parse(packet.payload) else { return }
            var flow = parsed.flow
            flow.isIngress = packet.hook == 1
            flow.origin = tag.origin
            let name = table.interfaceName(flow.isIngress ? packet.input : packet.output)
            for (index, byte) in name.prefix(15).enumerated() { flow.interface[index] = byte }
            if tag.isQuery {
                let rules = names.last { $0.generation == tag.generation }?.rules ?? NameRules()
                let findings = rules.findings(
                    parsed.content, isStream: flow.transport == 6,
                    blockedBy: tag.blocks ? RuleID(rawValue: tag.rule) : nil,
                    of: workload)
                for finding in findings
                where told.isNew(finding.name, tag, rule: finding.rule, now: KernelClock.monotonic) {
                    board.add(.reportedFlows)
                    reporter.report(finding, flow, tag, uid: packet.uid, container: container, board)
                }
                return
            }
            guard told.isNew(flow, tag, now: KernelClock.monotonic) else { return }
            board.add(.reportedFlows)
            reporter.report(flow, tag, uid: packet.uid, container: container, board)
        }
        memory = told
        if !isComplete { board.count(.packetLogOverflow) }
    }
}

extension Ruleset {
    /// Rules of its chains.
    var ruleCount: Int { chains.reduce(0) { $0 + $1.rules.count } }

    /// The rules of policies that it has chains for; the rest of them only let packets through.
    var policyRules: [RuleID] { Self.numbers(of: chains) }

    /// Of them those of quotas.
    var quotaRules: [RuleID] {
        let targets = Swift.Set(
            chains.filter { $0.hook != nil && $0.priority > 0 }.flatMap(\.rules).compactMap { rule in
                if case .decide(.goto(let chain)) = rule.action { chain } else { nil }
            })
        return Self.numbers(of: chains.filter { targets.contains($0.name) })
    }

    private static func numbers(of chains: [Chain]) -> [RuleID] {
        chains.compactMap { chain in
            chain.name.hasPrefix("rule-") ? UInt32(chain.name.dropFirst(5)).map(RuleID.init(rawValue:)) : nil
        }
    }
}
