import ControlProtocol
import FileEnforcement
import LinuxKernel
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
        var aliases: [PathAlias]
        var notes: [PlanNote]
        /// What a supervised tree is started under.
        var filters: TreeFilters
    }

    private enum Step {
        case idle
        case resolving(Change, number: UInt64, policies: [Policy])
        case loading(Change, number: UInt64, CompiledSnapshot, [PathAlias], TreeFilters)
    }

    private let node: NodeLabels
    private let postures: Postures
    private let send: (ChannelMessage, [UInt8]?) -> Bool
    private var step = Step.idle
    private var waiting: [Change] = []
    private var nextNumber: UInt64
    private(set) var active: Active?
    /// Rule descriptions of earlier generations, for records still in the rings; newest last.
    private var history: [(generation: UInt64, rules: [RuleDescription])] = []
    private static let historyLimit = 8

    /// - Parameters:
    ///   - firstNumber: generations go up from here, so that a new front never repeats one of its predecessor's.
    ///   - send: sends a message to the worker, with sealed memory of the bytes.
    init(
        node: NodeLabels, postures: Postures, firstNumber: UInt64,
        send: @escaping (ChannelMessage, [UInt8]?) -> Bool
    ) {
        self.node = node
        self.postures = postures
        self.send = send
        nextNumber = firstNumber
    }

    /// The newest store, changes that wait included: what a further change builds on.
    var latestStore: PolicyStore {
        if let last = waiting.last { return last.store }
        switch step {
        case .idle: return active?.store ?? PolicyStore()
        case .resolving(let change, _, _), .loading(let change, _, _, _, _): return change.store
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
            _ = try SnapshotCompiler().compile(
                policies: store.policies.filter(node.select), postures: postures, generation: nextNumber)
            return nil
        } catch { return "\(error)" }
    }

    /// The worker was replaced: what it was asked is asked again. It has the last snapshot, from the guardian.
    func workerStarted(generation: UInt64) {
        switch step {
        case .resolving(let change, _, _), .loading(let change, _, _, _, _):
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
        case (.resolved, .resolving(let change, let number, let policies)) where message.number == number:
            compile(change, number, policies, NameResolution.aliases(contents ?? []))
        case (.activated, .loading(let change, let number, let compiled, let aliases, let filters))
        where message.number == number:
            step = .idle
            remember(number, compiled.rules)
            active = Active(
                store: change.store, generation: number, rules: compiled.rules, aliases: aliases,
                notes: PlanReport.decode(contents ?? []), filters: filters)
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
        let policies = change.store.policies.filter(node.select)
        step = .resolving(change, number: number, policies: policies)
        let names = NameResolution.encode(PathAlias.names(in: policies))
        if !send(ChannelMessage(.resolve, number: number), names) {
            // The worker is being replaced; its hello starts this step again.
        }
    }

    private func compile(_ change: Change, _ number: UInt64, _ policies: [Policy], _ aliases: [PathAlias]) {
        if let active, active.aliases == aliases, active.store.isEqual(to: change.store) {
            step = .idle
            change.completion(.activated(generation: active.generation))
            advance()
            return
        }
        do {
            let compiled = try SnapshotCompiler().compile(
                policies: policies, postures: postures, aliases: aliases, generation: number)
            let filters = try Self.filters(compiled)
            // Events can arrive under the new snapshot before the worker's word does.
            remember(number, compiled.rules)
            step = .loading(change, number: number, compiled, aliases, filters)
            _ = send(ChannelMessage(.snapshot, number: number), compiled.bytes)
        } catch {
            step = .idle
            change.completion(.refused("\(error)"))
            advance()
        }
    }

    /// What a tree is started under for these rules; nothing when no rule needs it.
    private static func filters(_ compiled: CompiledSnapshot) throws -> TreeFilters {
        try compiled.bytes.withUnsafeBytes { bytes in
            let snapshot = try Snapshot(validating: bytes)
            let dropped = CapabilitySet(blockedBy: snapshot).rawValue
            let plan = FilterPlan(FilterNeeds(snapshot))
            guard !plan.isEmpty || dropped != 0 else {
                return TreeFilters(guardProgram: [], treeProgram: [], droppedCapabilities: 0)
            }
            let (guardProgram, treeProgram) = try plan.programs()
            return TreeFilters(
                guardProgram: guardProgram.instructions, treeProgram: treeProgram.instructions,
                droppedCapabilities: dropped)
        }
    }

    private func remember(_ generation: UInt64, _ rules: [RuleDescription]) {
        history.removeAll { $0.generation == generation }
        history.append((generation, rules))
        if history.count > Self.historyLimit { history.removeFirst() }
    }
}
