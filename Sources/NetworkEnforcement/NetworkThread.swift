import EventRing
import FileEnforcement
import LinuxKernel
import PolicyEngine

/// What the thread of the tables does: it looks after them, and tells of what they log.
extension NetworkEnforcer {
    /// Starts to look after the tables. Reports are written by that thread alone.
    public func serve(_ reporter: PacketReporter) throws(KernelError) {
        _ = try KernelThread.start(name: "netfilter") { [self] in
            var memory = FlowMemory()
            while true { turn(reporter, &memory) }
        }
    }

    /// A container's number as alerts have it; 0 for the host and for trees, whose alerts are the host's.
    private static func container(_ workload: UInt64) -> UInt32 {
        SnapshotBundle.isContainer(workload)
            ? UInt32(truncatingIfNeeded: SnapshotBundle.number(ofContainer: workload)) : 0
    }

    private func turn(_ reporter: PacketReporter, _ memory: inout FlowMemory) {
        var poll = PollList()
        poll.add(wake)
        let next = state.withLock { state in
            for table in state.tables.values {
                poll.add(table.changeDescriptor)
                poll.add(table.logDescriptor)
            }
            return state.tables.values.compactMap(\.nextReset).min()
        }
        _ = poll.wait(timeoutMilliseconds: Self.patience(until: next))
        EventDescriptor.drain(wake)
        state.withLock { state in
            Self.removeLeftovers(&state)
            let now = KernelClock.monotonic
            let names = state.names.map(\.rules) + state.namesOfSets
            for (workload, table) in state.ended { readLog(table, workload, names, reporter, &memory) }
            state.ended = []
            for (workload, table) in state.tables {
                let container = Self.container(workload)
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
        _ table: NetworkTable, _ workload: UInt64, _ names: [NameRules], _ reporter: PacketReporter,
        _ memory: inout FlowMemory
    ) {
        guard table.logDescriptor >= 0 else { return }
        var told = memory
        let isComplete = table.readLog { packet in
            board.add(.loggedPackets)
            guard var tag = PacketTag(packet.prefix), let parsed = PacketHeader.parse(packet.payload) else { return }
            var flow = parsed.flow
            let workload = tag.workload ?? workload
            tag.workload = workload
            let container = Self.container(workload)
            flow.isIngress = packet.hook == 1
            flow.origin = tag.origin
            let name = table.interfaceName(flow.isIngress ? packet.input : packet.output)
            for (index, byte) in name.prefix(15).enumerated() { flow.interface[index] = byte }
            if tag.isQuery {
                let owner = NameRules.Owner(generation: tag.generation, workload: workload)
                let rules = names.last { $0.has(owner) } ?? NameRules()
                let findings = rules.findings(
                    parsed.content, isStream: flow.transport == 6,
                    blockedBy: tag.blocks ? RuleID(rawValue: tag.rule) : nil, of: owner)
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
