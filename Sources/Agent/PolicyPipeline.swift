import AgentCore
import ControlProtocol
import FileEnforcement
import LinuxKernel
import NetworkEnforcement
import PolicyEngine
import PolicyModel
import SyscallEnforcement
import Workloads

/// Turns the policy store into what is in force: ask the worker for real names, compile, hand over, wait for the word. One change, or one
/// container, at a time; those that come meanwhile wait. A change that fails leaves everything as it was.
///
/// A container that starts changes nothing for anybody else: it gets one of the sets of policies that containers share, which is made if it is
/// the first of its kind.
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
        /// What a supervised tree without policies of its own is started under.
        var needs: TreeNeeds
    }

    /// A container that is decided by its policies.
    struct Container {
        var identity: ContainerIdentity
        var origin: ContainerOrigin
        /// Where names of its policies lead in its root.
        var aliases: [PathAlias] = []
        /// Its set of policies; 0 before it has one.
        var set: UInt64 = 0
        /// What the set's rules lack in it.
        var notes: [PlanNote] = []
    }

    private var programs = TreePrograms()

    private enum Task {
        case change(Change)
        /// Told in the end why the container is not decided by its policies; `nil` when it is.
        case start(UInt64, (String?) -> Void)

        func refuse(_ reason: String) {
            switch self {
            case .change(let change): change.completion(.refused(reason))
            case .start(_, let completion): completion(reason)
            }
        }
    }

    private enum Step {
        case idle
        case resolving(Task, number: UInt64)
        case loading(Change, number: UInt64, Draft)
        case starting(UInt64, (String?) -> Void, number: UInt64, set: UInt64)
    }

    /// What is about to be in force.
    private struct Draft {
        var rules: [RuleDescription]
        var aliases: [PathAlias]
        var needs: TreeNeeds
        /// The aliases and sets of containers.
        var containers: [UInt64: (aliases: [PathAlias], set: UInt64)]
    }

    private let node: NodeLabels
    private let postures: Postures
    private let seesEvents: Bool
    private let visibility: Visibility
    private let guardsManagers: Bool
    private let packetLogGroup: UInt16
    private let send: (ChannelMessage, [UInt8]?) -> Bool
    private var step = Step.idle
    private var waiting: [Task] = []
    private let newNumber: () -> UInt64
    private(set) var active: Active?
    /// Called with what has just been put in force, before anybody is told; calls back when others have it too.
    var follow: (PolicyStore, @escaping () -> Void) -> Void = { $1() }
    /// There ever was a container.
    private(set) var hadContainers = false
    /// Containers that are alive, by number as workloads.
    private(set) var containers: [UInt64: Container] = [:]
    private(set) var sets: PolicySets
    /// Sets of which the worker has not been told.
    private var unsent: Set<UInt64> = []
    /// Rule descriptions of earlier generations, for records still in the rings; newest last.
    private var history: [(generation: UInt64, rules: [RuleDescription])] = []
    private static let historyLimit = 8
    /// More sets than are used by this many have all in force made anew, without them.
    private static let idleSets = 64

    /// - Parameters:
    ///   - seesEvents: there is fanotify; without it trees decide all as system calls.
    ///   - visibility: what trees are told of although no rule is about it.
    ///   - guardsManagers: trees may not have others start programs for them.
    ///   - packetLogGroup: where rules for packets report.
    ///   - newNumber: gives a greater number each time, and none that a predecessor got: for generations, sets and questions.
    ///   - send: sends a message to the worker, with sealed memory of the bytes.
    init(
        node: NodeLabels, postures: Postures, seesEvents: Bool = true, visibility: Visibility = [],
        guardsManagers: Bool = true, packetLogGroup: UInt16 = 0,
        newNumber: @escaping () -> UInt64, send: @escaping (ChannelMessage, [UInt8]?) -> Bool
    ) {
        self.node = node
        self.postures = postures
        self.seesEvents = seesEvents
        self.visibility = visibility
        self.guardsManagers = guardsManagers
        self.packetLogGroup = packetLogGroup
        self.send = send
        sets = PolicySets(postures: postures, packetLogGroup: packetLogGroup)
        self.newNumber = newNumber
    }

    /// The newest store, changes that wait included: what a further change builds on.
    var latestStore: PolicyStore {
        for case .change(let change) in waiting.reversed() { return change.store }
        switch step {
        case .resolving(.change(let change), _), .loading(let change, _, _): return change.store
        case .idle, .resolving, .starting: return active?.store ?? PolicyStore()
        }
    }

    /// Puts a store in force after the changes before it.
    func submit(_ change: Change) { submit(.change(change)) }

    private func submit(_ task: Task) {
        waiting.append(task)
        advance()
    }

    /// What keeps a store from being compiled, or `nil`; puts nothing in force.
    func problem(in store: PolicyStore) -> String? {
        do {
            _ = try bundle(store, aliases: [], number: 0)
            var sets = sets
            for container in containers.values {
                _ = try sets.make(key(of: container, container.aliases, in: store.policies), generation: 0)
            }
            return nil
        } catch { return "\(error)" }
    }

    /// The worker was replaced: what it was asked is asked again. It has the last snapshot, from the guardian.
    func workerStarted(generation: UInt64) {
        // It got the sets that its predecessor had told the guardian of; which these were nobody knows.
        unsent = Set(sets.all.map(\.number))
        switch step {
        case .resolving(let task, _): waiting.insert(task, at: 0)
        case .loading(let change, _, _): waiting.insert(.change(change), at: 0)
        case .starting(let container, let completion, _, _): waiting.insert(.start(container, completion), at: 0)
        case .idle:
            if let active, generation != active.generation { submit(Change(store: active.store) { _ in }) }
            return
        }
        step = .idle
        advance()
    }

    /// The rule behind an id of a generation's snapshot.
    func rule(_ id: RuleID, generation: UInt64) -> RuleDescription? {
        guard let rules = history.last(where: { $0.generation == generation })?.rules else {
            return sets.rule(id, generation: generation)
        }
        return id.rawValue < UInt32(rules.count) ? rules[Int(id.rawValue)] : nil
    }

    // MARK: - Containers

    /// Has a container decided by the policies that are for it.
    ///
    /// - Parameter completion: told why not; `nil` when it is.
    func start(_ number: UInt64, _ container: Container, _ completion: @escaping (String?) -> Void) {
        containers[number] = container
        hadContainers = true
        submit(.start(number, completion))
    }

    /// Takes over what a front before knew of containers; the next change says by what they are decided.
    func restore(_ known: [UInt64: Container]) {
        hadContainers = !known.isEmpty
        containers = known.mapValues { container in
            var container = container
            container.set = Self.unknownSet
            return container
        }
    }

    /// A set that a front before has made.
    private static let unknownSet = UInt64.max

    /// What is known of a container has changed: which policies are for it may have, too.
    func renew(_ number: UInt64, _ change: (inout Container) -> Void = { _ in }) {
        guard var container = containers[number] else { return }
        change(&container)
        containers[number] = container
        let isWaiting = waiting.contains { if case .start(number, _) = $0 { true } else { false } }
        if !isWaiting, container.set != 0 { submit(.start(number) { _ in }) }
    }

    /// A container is no more.
    func end(_ number: UInt64) { containers[number] = nil }

    /// The policies for a container.
    private func policies(of container: Container, in all: [Policy]) -> [Policy] {
        all.filter { container.identity.isSelected(by: $0) }
    }

    private func key(of container: Container, _ aliases: [PathAlias], in all: [Policy]) -> PolicySets.Key {
        PolicySets.Key(
            policies: policies(of: container, in: all), aliases: aliases, isSupervised: container.origin.isSupervised)
    }

    /// The set of policies for a container, which is made if there is none yet.
    private func set(
        _ container: Container, _ aliases: [PathAlias], in all: [Policy]
    ) throws -> PolicySets.PolicySet {
        let key = key(of: container, aliases, in: all)
        if let known = sets.find(key) { return known }
        let set = try sets.make(key, generation: newNumber())
        unsent.insert(set.number)
        return set
    }

    // MARK: - Steps

    /// Takes a message of the worker.
    func receive(_ message: ChannelMessage, contents: [UInt8]?) {
        switch (message.kind, step) {
        case (.resolved, .resolving(let task, let number)) where message.number == number:
            let aliases = NameResolution.aliases(contents ?? [])
            switch task {
            case .change(let change): compile(change, number, aliases)
            case .start(let container, let completion):
                start(container, completion, number, aliases[container] ?? [])
            }
        case (.activated, .loading(let change, let number, let draft)) where message.number == number:
            step = .idle
            activated(change, number, draft, PlanReport.decode(contents ?? []))
            advance()
        case (.refused, .loading(let change, let number, _)) where message.number == number:
            step = .idle
            change.completion(.refused(message.string))
            advance()
        case (.containerStarted, .starting(let container, let completion, let number, let set))
        where message.number == number:
            step = .idle
            if message.text.isEmpty {
                containers[container]?.set = set
                containers[container]?.notes = PlanReport.decode(contents ?? [])[container] ?? []
            }
            completion(message.text.isEmpty ? nil : message.string)
            advance()
        case (.containerChanged, _):
            containers[message.number]?.notes = PlanReport.decode(contents ?? [])[message.number] ?? []
            renew(message.number)
        case (.planned, _):
            let notes = PlanReport.decode(contents ?? [])
            if message.number == active?.generation { active?.notes = notes[SnapshotBundle.host] ?? [] }
        case (.namesChanged, .idle):
            if let active { submit(Change(store: active.store) { _ in }) }
        default: break
        }
    }

    private func activated(_ change: Change, _ number: UInt64, _ draft: Draft, _ notes: [UInt64: [PlanNote]]) {
        remember(number, draft.rules)
        active = Active(
            store: change.store, generation: number, rules: draft.rules, aliases: draft.aliases,
            notes: notes[SnapshotBundle.host] ?? [], needs: draft.needs)
        for (number, found) in draft.containers where containers[number] != nil {
            containers[number]?.aliases = found.aliases
            containers[number]?.set = found.set
            containers[number]?.notes = notes[number] ?? []
        }
        unsent = []
        follow(change.store) { change.completion(.activated(generation: number)) }
    }

    private func advance() {
        guard case .idle = step, !waiting.isEmpty else { return }
        let task = waiting.removeFirst()
        let question = newNumber()
        step = .resolving(task, number: question)
        // What containers name is looked up in their own root. If the worker is being replaced, its hello starts this step again.
        switch task {
        case .change(let change):
            let all = change.store.policies
            let host = change.store.workloads.values.reduce(all.filter(node.select), +)
            let others = containers.filter { $0.value.set != 0 }.map {
                ($0.key, PathAlias.names(in: policies(of: $0.value, in: all)))
            }
            let names = [(SnapshotBundle.host, PathAlias.names(in: host))] + others
            _ = send(ChannelMessage(.resolve, number: question), NameResolution.encode(names))
        case .start(let number, _):
            guard let active, let container = containers[number], let origin = container.origin.text else {
                step = .idle
                task.refuse("the policies are not known")
                return advance()
            }
            let names = PathAlias.names(in: policies(of: container, in: active.store.policies))
            if container.set == 0 { _ = send(ChannelMessage(.container, number: number, text: origin), nil) }
            _ = send(ChannelMessage(.resolve, number: question), NameResolution.encode([(number, names)]))
        }
    }

    private func start(
        _ number: UInt64, _ completion: @escaping (String?) -> Void, _ question: UInt64, _ aliases: [PathAlias]
    ) {
        step = .idle
        defer { advance() }
        guard let active, var container = containers[number] else { return completion("it has ended") }
        do {
            let set = try set(container, aliases, in: active.store.policies)
            container.aliases = aliases
            containers[number] = container
            // Its names may lead elsewhere, and mean the same.
            if set.number == container.set { return completion(nil) }
            if unsent.remove(set.number) != nil { _ = send(ChannelMessage(.sets), sets.bundle(of: [set])) }
            step = .starting(number, completion, number: question, set: set.number)
            _ = send(ChannelMessage(.startContainer, number: number, text: "\(question) \(set.number)"), nil)
        } catch { completion("\(error)") }
        if sets.all.count > usedSets.count + Self.idleSets, !waiting.contains(where: Self.isChange) {
            waiting.append(.change(Change(store: latestStore) { _ in }))
        }
    }

    private static func isChange(_ task: Task) -> Bool { if case .change = task { true } else { false } }

    private var usedSets: Set<UInt64> { Set(containers.values.map(\.set)) }

    private func compile(_ change: Change, _ number: UInt64, _ aliases: [UInt64: [PathAlias]]) {
        let host = aliases[SnapshotBundle.host] ?? []
        do {
            let all = change.store.policies
            var found: [UInt64: (aliases: [PathAlias], set: UInt64)] = [:]
            for (number, container) in containers where container.set != 0 {
                let aliases = aliases[number] ?? []
                found[number] = (aliases, try set(container, aliases, in: all).number)
            }
            let isSame = found.allSatisfy { containers[$0.key]?.set == $0.value.set }
            let forgets = sets.forgetUnused(usedSets.union(found.values.map(\.set)))
            if let active, active.aliases == host, isSame, !forgets, unsent.isEmpty,
                active.store.isEqual(to: change.store)
            {
                step = .idle
                change.completion(.activated(generation: active.generation))
                return advance()
            }
            let (bytes, rules, needs) = try bundle(
                change.store, aliases: host, number: number, assignments: found.mapValues(\.set))
            // Events can arrive under the new snapshot before the worker's word does.
            remember(number, rules)
            step = .loading(change, number: number, Draft(rules: rules, aliases: host, needs: needs, containers: found))
            _ = send(ChannelMessage(.snapshot, number: number), bytes)
        } catch {
            step = .idle
            change.completion(.refused("\(error)"))
            advance()
        }
    }

    /// Compiles the policies of the host and of trees, and puts the sets of containers with them.
    private func bundle(
        _ store: PolicyStore, aliases: [PathAlias], number: UInt64, assignments: [UInt64: UInt64] = [:]
    ) throws -> (bytes: [UInt8], rules: [RuleDescription], host: TreeNeeds) {
        var parts: [(workload: UInt64, bytes: [UInt8])] = []
        var rules: [RuleDescription] = []
        var needs: TreeNeeds?
        let host = (SnapshotBundle.host, store.policies.filter(node.select))
        for (workload, policies) in [host] + store.workloads.sorted(by: { $0.key < $1.key }).map({ ($0.key, $0.value) })
        {
            let compiled = try SnapshotCompiler().compile(
                policies: policies, postures: postures, aliases: aliases, generation: number, firstRule: rules.count)
            parts.append((workload, compiled.bytes))
            rules += compiled.rules.map { rule in
                var rule = rule
                rule.workload = workload
                return rule
            }
            if needs == nil { needs = try TreeNeeds(compiled, seesEvents: seesEvents, visibility: visibility) }
        }
        let decisions = try PacketDecisions(of: parts[0].bytes, describing: &rules)
        var network = PolicySets.network(sets.all)
        network.rulesets[SnapshotBundle.host] = ruleset(host.1, decisions, of: host.0, number: number, &rules)
        for (workload, policies) in store.workloads.sorted(by: { $0.key < $1.key }) {
            // Of a tree's rules on sockets and names its calls tell.
            network.rulesets[workload] = ruleset(policies, PacketDecisions(), of: workload, number: number, &rules)
        }
        parts += sets.all.sorted { $0.number < $1.number }.map { ($0.number, $0.bytes) }
        let bytes = SnapshotBundle.encode(
            parts,
            assignments: assignments.sorted { $0.key < $1.key }.map {
                SnapshotBundle.Assignment(container: $0.key, set: $0.value)
            }, network: network.encoded())
        return (bytes, rules, needs ?? TreeNeeds())
    }

    /// What the packet filter does for the host or for a tree; adds what people are told of the rules.
    ///
    /// - Parameter decisions: what rules on sockets and names mean for packets.
    private func ruleset(
        _ policies: [Policy], _ decisions: PacketDecisions, of workload: UInt64, number: UInt64,
        _ rules: inout [RuleDescription]
    ) -> Ruleset? {
        let network = policies.filter { $0.kind == .network }
        guard !network.isEmpty || !decisions.isEmpty else { return nil }
        let (ruleset, descriptions) = RulesetPlanner.plan(
            network, decisions,
            RulesetPlanner.Settings(
                posture: postures.network, generation: number, logGroup: packetLogGroup, firstRule: rules.count,
                workload: workload))
        rules += descriptions
        return ruleset
    }

    /// What a tree is started under: for the rules in force, and for policies of its own, which are not put in force by this.
    ///
    /// - Throws: what keeps the policies from being compiled.
    func filters(with policies: [Policy]) throws -> TreeFilters {
        var needs = active?.needs ?? TreeNeeds()
        var rules: [RuleDescription] = []
        if !policies.isEmpty {
            let compiled = try SnapshotCompiler().compile(
                policies: policies, postures: postures, generation: 0)
            rules = compiled.rules
            needs.add(try TreeNeeds(compiled, seesEvents: seesEvents, visibility: visibility))
            needs.calls.isWorkload = true
        }
        return try needs.filters(
            guardsManagers: guardsManagers, gaps: StatusReport.gaps(ofTree: rules, seesEvents: seesEvents), &programs)
    }

    private func remember(_ generation: UInt64, _ rules: [RuleDescription]) {
        history.removeAll { $0.generation == generation }
        history.append((generation, rules))
        if history.count > Self.historyLimit { history.removeFirst() }
    }
}
