import ControlProtocol
import FileEnforcement
import PolicyEngine
import PolicyModel
import Telemetry

/// Makes the answer to `portcullis status` from the board, the rules in force and what telemetry counted.
struct StatusReport {
    let board: StatusBoard
    let host: String
    let failures: FailureTable
    let active: PolicyPipeline.Active?
    let ledger: LossLedger
    let seesEvents: Bool
    let containers: [UInt64: PolicyPipeline.Container]
    let sets: [PolicySets.PolicySet]
    /// Those of workers in other user namespaces.
    var otherBoards: [StatusBoard] = []

    var status: AgentStatus {
        AgentStatus(
            version: ReleaseVersion.text, host: host, generation: board.value(.generation),
            processes: [
                "guardian": Int(board.value(.guardianProcess)), "worker": Int(board.value(.workerProcess)),
                "front": Int(board.value(.frontProcess)),
            ], counters: counters,
            failures: FailureRow.allCases.map {
                FailureStatus(name: $0.name, verdict: failures.allows($0) ? "allow" : "deny", count: failureCount($0))
            }, rules: rules(from: 0), gaps: gaps)
    }

    private var counters: [String: UInt64] {
        var result: [String: UInt64] = [:]
        let named: [(String, StatusBoard.Slot)] = [
            ("events", .events), ("allowed", .allowed), ("audited", .audited), ("blocked", .blocked),
            ("own-passed", .ownPassed), ("block-records-lost", .blockRecordsLost),
            ("event-records-lost", .eventRecordsLost), ("ignore-marks-set", .ignoreMarks), ("inode-marks", .inodeMarks),
            ("directory-marks", .directoryMarks), ("filesystem-marks", .filesystemMarks),
            ("indexed-objects", .indexedObjects), ("mark-failures", .markFailures), ("spin-hits", .spinHits),
            ("spin-misses", .spinMisses), ("worker-restarts", .workerRestarts), ("front-restarts", .frontRestarts),
            ("adopted-events", .adoptedEvents), ("calls", .calls), ("supervised-trees", .supervisedTrees),
            ("trees-started", .treesStarted), ("packet-rules", .packetRules), ("logged-packets", .loggedPackets),
            ("reported-flows", .reportedFlows),
        ]
        for (name, slot) in named { result[name] = otherBoards.reduce(board.value(slot)) { $0 &+ $1.value(slot) } }
        result["alerts-generated"] = ledger.generated
        result["alerts-emitted"] = ledger.emitted
        result["alerts-suppressed"] = ledger.suppressed
        return result
    }

    private func failureCount(_ row: FailureRow) -> UInt64 {
        otherBoards.reduce(board.failures(row)) { $0 &+ $1.failures(row) }
    }

    /// Every rule in force: what holds it, and what it does not cover.
    var rules: [RuleCoverage] { coverage(of: descriptions[...]) }

    /// A page of `rules`.
    func rules(from start: Int) -> [RuleCoverage] {
        coverage(of: descriptions.dropFirst(max(0, start)).prefix(AgentStatus.rulePage))
    }

    /// The rules of the host and of trees, and those of every set that containers have.
    private var descriptions: [RuleDescription] {
        let used = Set(containers.values.map(\.set))
        return (active?.rules ?? []) + sets.filter { used.contains($0.number) }.flatMap(\.rules)
    }

    private func coverage(of rules: ArraySlice<RuleDescription>) -> [RuleCoverage] {
        let members = Dictionary(grouping: containers, by: { $0.value.set })
        var notes: [UInt64: [PlanNote]] = [:]
        for (set, containers) in members {
            // A note of several containers is told once.
            let all = containers.reduce(into: Set<PlanNote>()) { $0.formUnion($1.value.notes) }
            notes[set] = all.sorted { ($0.rule.rawValue, $0.gap.rawValue) < ($1.rule.rawValue, $1.gap.rawValue) }
        }
        return rules.map { rule in
            let isSet = SnapshotBundle.isSet(rule.workload)
            let isSupervised = isSet && sets.first { $0.number == rule.workload }?.key.isSupervised == true
            let row = RuleCoverageTable.row(
                for: rule, inTree: rule.workload != SnapshotBundle.host && (!isSet || isSupervised),
                seesEvents: seesEvents && !isSupervised)
            let all = isSet ? notes[rule.workload] ?? [] : active?.notes ?? []
            let own = all.filter { $0.rule == rule.id && rule.id != .none }
            let isOff = own.contains { $0.gap.endsFiltering }
            let scopes = Set((isSet ? all : own).compactMap(\.gap.scope)).sorted().joined(separator: ", ")
            let treesOff = (active?.notes ?? []).contains { $0.gap == .treesUnsupported }
            return RuleCoverage(
                workload: rule.workload, workloadName: name(of: rule.workload, members[rule.workload]),
                policy: rule.policyName, category: Self.name(rule), subject: rule.subject,
                action: rule.attributes.action.name, position: rule.position.description,
                enforcedBy: row.enforcedBy.filter { !(isOff && $0 == "nftables") && !(treesOff && $0 == "seccomp") }
                    .map { $0 == "nftables" && !scopes.isEmpty ? "nftables (\(scopes))" : $0 },
                gaps: row.gaps + own.map(\.gap).filter { $0.scope == nil }.map(\.text))
        }
    }

    /// Containers that are named one by one.
    private static let namedContainers = 3

    private func name(of workload: UInt64, _ members: [(key: UInt64, value: PolicyPipeline.Container)]?) -> String {
        if workload == SnapshotBundle.host { return "" }
        guard SnapshotBundle.isSet(workload) else { return "tree \(workload)" }
        let names = (members ?? []).map(\.value.identity.name).sorted()
        let rest = names.count - Self.namedContainers
        return (names.count == 1 ? "container " : "containers ")
            + names.prefix(Self.namedContainers).joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
    }

    /// What a tree's own rules say and nothing holds: a line each.
    static func gaps(ofTree rules: [RuleDescription], seesEvents: Bool) -> [String] {
        var lines: [String] = []
        for rule in rules {
            let row = RuleCoverageTable.row(for: rule, inTree: true, seesEvents: seesEvents)
            let effect = row.enforcedBy.isEmpty ? "not enforced" : "not covered"
            for gap in row.gaps {
                let line = "\(rule.policyName): \(name(rule)): \(effect): \(gap)"
                if !lines.contains(line) { lines.append(line) }
            }
        }
        return lines
    }

    /// What is not covered whatever the rule.
    var gaps: [String] {
        guard let active else { return ["no policies are in force yet"] }
        var result = active.notes.filter { $0.rule == .none && $0.gap.scope == nil }.map(\.gap.text)
        if !seesEvents {
            result.insert(
                "without fanotify: rules hold in supervised trees ('portcullis run'), and in containers with a profile of 'portcullis container-profile', only",
                at: 0)
        }
        let others = active.store.policies.filter { policy in
            !policy.selectsNodes && !containers.values.contains { $0.identity.isSelected(by: policy) }
        }
        if !others.isEmpty {
            result.append(
                "\(others.count) container, cluster or network "
                    + (others.count == 1 ? "policy has" : "policies have") + " no workload here yet: not enforced")
        }
        for policy in active.store.policies where policy.kind == .host {
            if !policy.devices.isEmpty { result.append("\(policy.name): device rules are not enforced") }
            if !policy.apparmor.isEmpty { result.append("\(policy.name): native AppArmor text is not enforced") }
        }
        return result
    }

    private static func name(_ rule: RuleDescription) -> String {
        if let packet = rule.packet { return packet.direction.name.lowercased() }
        if rule.isPreset != nil { return "presets" }
        switch rule.category {
        case .process: return "process"
        case .file: return "file"
        case .networkProtocol: return "network"
        case .dns: return "dns"
        case .capability: return "capabilities"
        case .syscall: return "syscalls"
        }
    }
}
