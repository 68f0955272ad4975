import AgentCore
import ControlProtocol
import FileEnforcement
import LinuxKernel
import NetworkEnforcement
import PolicyEngine
import PolicyModel
import SyscallEnforcement

/// Turns the policy store into the snapshot in force: ask the worker for real names, compile, hand over, wait for the word.
/// One change at a time; changes that come meanwhile wait. A change that fails leaves everything as it was.
final class PolicyPipeline {
    /// How a change ended.
    enum Outcome {
        case activated(generation: UInt64)
        /// One line: why the rules stayed as they were.
        case refused(String)
    }

    /// A store to put in force, and whom to tell.
    struct Change {
        var store: PolicyStore
        var completion: (Outcome) -> Void
    }

    /// What is in force.
    struct Active {
        var store: PolicyStore
        var generation: UInt64
        var rules: [RuleDescription]
        var aliases: [UInt64: [PathAlias]]
        var notes: [PlanNote]
        /// What a supervised tree without policies of its own is started under.
        var needs: TreeNeeds
    }

    private enum Step {
        case idle
        case resolving(Change, number: UInt64)
        case loading(Change, number: UInt64, [RuleDescription], [UInt64: [PathAlias]], TreeNeeds)
    }

    private let node: NodeLabels
    private let postures: Postures
    private let seesEvents: Bool
    private let packetLogGroup: UInt16
    private let send: (ChannelMessage, [UInt8]?) -> Bool
    private var step = Step.idle
    private var waiting: [Change] = []
    private var nextNumber: UInt64
    private(set) var active: Active?
    /// Rule descriptions of earlier generations, for records still in the rings; newest last.
    private var history: [(generation: UInt64, rules: [RuleDescription])] = []
    private static let historyLimit = 8

    /// - Parameters:
    ///   - seesEvents: there is fanotify; without it trees decide all as system calls.
    ///   - packetLogGroup: where rules for packets report.
    ///   - firstNumber: generations go up from here, so that a new front never repeats one of its predecessor's.
    ///   - send: sends a message to the worker, with sealed memory of the bytes.
    init(
        node: NodeLabels, postures: Postures, seesEvents: Bool = true, packetLogGroup: UInt16 = 0, firstNumber: UInt64,
        send: @escaping (ChannelMessage, [UInt8]?) -> Bool
    ) {
        self.node = node
        self.postures = postures
        self.seesEvents = seesEvents
        self.packetLogGroup = packetLogGroup
        self.send = send
        nextNumber = firstNumber
    }

    /// The newest store, changes that wait included: what a further change builds on.
    var latestStore: PolicyStore {
        if let last = waiting.last { return last.store }
        switch step {
        case .idle: return active?.store ?? PolicyStore()
        case .resolving(let change, _), .loading(let change, _, _, _, _): return change.store
        }
    }

    /// Puts a store in force after the changes before it.
    func submit(_ change: Change) {
        waiting.append(change)
        advance()
    }

    /// What keeps a store from being compiled, or `nil`; puts nothing in force.
    func problem(in store: PolicyStore) -> String? {
        do {
            _ = try bundle(store, aliases: [:], number: nextNumber)
            return nil
        } catch { return "\(error)" }
    }

    /// The worker was replaced: what it was asked is asked again. It has the last snapshot, from the guardian.
    func workerStarted(generation: UInt64) {
        switch step {
        case .resolving(let change, _), .loading(let change, _, _, _, _):
            step = .idle
            waiting.insert(change, at: 0)
            advance()
        case .idle:
            if let active, generation != active.generation { submit(Change(store: active.store) { _ in }) }
        }
    }

    /// The rule behind an id of a generation's snapshot.
    func rule(_ id: RuleID, generation: UInt64) -> RuleDescription? {
        let rules = history.last { $0.generation == generation }?.rules
        guard let rules, id.rawValue < UInt32(rules.count) else { return nil }
        return rules[Int(id.rawValue)]
    }

    /// Takes a message of the worker.
    func receive(_ message: ChannelMessage, contents: [UInt8]?) {
        switch (message.kind, step) {
        case (.resolved, .resolving(let change, let number)) where message.number == number:
            compile(change, number, NameResolution.aliases(contents ?? []))
        case (.activated, .loading(let change, let number, let rules, let aliases, let needs))
        where message.number == number:
            step = .idle
            remember(number, rules)
            active = Active(
                store: change.store, generation: number, rules: rules, aliases: aliases,
                notes: PlanReport.decode(contents ?? []), needs: needs)
            change.completion(.activated(generation: number))
            advance()
        case (.refused, .loading(let change, let number, _, _, _)) where message.number == number:
            step = .idle
            change.completion(.refused(message.string))
            advance()
        case (.planned, _):
            if message.number == active?.generation { active?.notes = PlanReport.decode(contents ?? []) }
        case (.namesChanged, .idle):
            if let active { submit(Change(store: active.store) { _ in }) }
        default: break
        }
    }

    private func advance() {
        guard case .idle = step, !waiting.isEmpty else { return }
        let change = waiting.removeFirst()
        let number = nextNumber
        nextNumber += 1
        step = .resolving(change, number: number)
        // What containers name is looked up in their own root.
        let all = change.store.workloads.values.reduce(change.store.policies.filter(node.select), +)
        let names = NameResolution.encode(
            [(SnapshotBundle.host, PathAlias.names(in: all))]
                + change.store.byWorkload.filter { SnapshotBundle.isContainer($0.workload) }.map {
                    ($0.workload, PathAlias.names(in: $0.policies))
                })
        if !send(ChannelMessage(.resolve, number: number), names) {
            // The worker is being replaced; its hello starts this step again.
        }
    }

    private func compile(_ change: Change, _ number: UInt64, _ aliases: [UInt64: [PathAlias]]) {
        if let active, active.aliases == aliases, active.store.isEqual(to: change.store) {
            step = .idle
            change.completion(.activated(generation: active.generation))
            advance()
            return
        }
        do {
            let (bytes, rules, needs) = try bundle(change.store, aliases: aliases, number: number)
            // Events can arrive under the new snapshot before the worker's word does.
            remember(number, rules)
            step = .loading(change, number: number, rules, aliases, needs)
            _ = send(ChannelMessage(.snapshot, number: number), bytes)
        } catch {
            step = .idle
            change.completion(.refused("\(error)"))
            advance()
        }
    }

    /// Compiles the host's policies and those of every workload.
    private func bundle(
        _ store: PolicyStore, aliases: [UInt64: [PathAlias]], number: UInt64
    ) throws -> (bytes: [UInt8], rules: [RuleDescription], host: TreeNeeds) {
        var parts: [(workload: UInt64, bytes: [UInt8])] = []
        var rules: [RuleDescription] = []
        var needs: TreeNeeds?
        let host = (SnapshotBundle.host, store.policies.filter(node.select))
        for (workload, policies) in [host] + store.byWorkload {
            let compiled = try SnapshotCompiler().compile(
                policies: policies, postures: postures,
                aliases: aliases[SnapshotBundle.isContainer(workload) ? workload : SnapshotBundle.host] ?? [],
                generation: number, firstRule: rules.count)
            parts.append((workload, compiled.bytes))
            rules += compiled.rules.map { rule in
                var rule = rule
                rule.workload = workload
                return rule
            }
            if needs == nil { needs = try TreeNeeds(compiled, seesEvents: seesEvents) }
        }
        let decisions = try PacketDecisions(of: parts[0].bytes, describing: &rules)
        let network = NetworkBundle(rulesets(store, decisions, number: number, &rules))
        return (SnapshotBundle.encode(parts, network: network.encoded()), rules, needs ?? TreeNeeds())
    }

    /// What the packet filter does for the host and for each container; adds what people are told of the rules.
    ///
    /// - Parameter decisions: what the host's rules on sockets and names mean for packets.
    private func rulesets(
        _ store: PolicyStore, _ decisions: PacketDecisions, number: UInt64, _ rules: inout [RuleDescription]
    ) -> [UInt64: Ruleset] {
        var rulesets: [UInt64: Ruleset] = [:]
        let containers = store.byWorkload.filter { SnapshotBundle.isContainer($0.workload) }
        for (workload, policies) in [(SnapshotBundle.host, store.policies.filter(node.select))] + containers {
            let network = policies.filter { $0.kind == .network }
            let others = workload == SnapshotBundle.host ? decisions : PacketDecisions()
            guard !network.isEmpty || !others.isEmpty else { continue }
            let (ruleset, descriptions) = RulesetPlanner.plan(
                network, others,
                RulesetPlanner.Settings(
                    posture: postures.network, generation: number, logGroup: packetLogGroup, firstRule: rules.count,
                    workload: workload))
            rulesets[workload] = ruleset
            rules += descriptions
        }
        return rulesets
    }

    /// What a tree is started under: for the rules in force, and for policies of its own, which are not put in force by this.
    ///
    /// - Throws: what keeps the policies from being compiled.
    func filters(with policies: [Policy]) throws -> TreeFilters {
        var needs = active?.needs ?? TreeNeeds()
        var rules: [RuleDescription] = []
        if !policies.isEmpty {
            let compiled = try SnapshotCompiler().compile(
                policies: policies, postures: postures, generation: nextNumber)
            rules = compiled.rules
            needs.add(try TreeNeeds(compiled, seesEvents: seesEvents))
            needs.calls.isWorkload = true
        }
        return try needs.filters(gaps: StatusReport.gaps(ofTree: rules, seesEvents: seesEvents))
    }

    private func remember(_ generation: UInt64, _ rules: [RuleDescription]) {
        history.removeAll { $0.generation == generation }
        history.append((generation, rules))
        if history.count > Self.historyLimit { history.removeFirst() }
    }
}
