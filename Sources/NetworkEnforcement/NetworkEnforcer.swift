import FileEnforcement
import LinuxKernel
import PolicyEngine
import Synchronization

/// Keeps the tables of the host and of containers: puts rulesets in force, makes them again when somebody else changed them,
/// begins quotas anew, and tells of what they refuse. Packets never wait for it: the kernel decides them.
///
/// What a workload with a network of its own has to pass is in a table there; the rules of one that shares the host's network are part of the
/// host's table, for packets of its scope.
public final class NetworkEnforcer: Sendable {
    struct State: ~Copyable {
        /// By workload; the host's has the rules of those that share its network too.
        var tables: [UInt64: NetworkTable] = [:]
        /// Of workloads that are no more: what they logged is still to be read.
        var ended: [(workload: UInt64, table: NetworkTable)] = []
        /// What is told of the packets of workloads that share the host's network.
        var networks: [UInt64: WorkloadNetwork] = [:]
        /// The rules of the host, and of workloads that share its network.
        var rules: [UInt64: Ruleset] = [:]
        /// The host's table stays as it is for now.
        var isHeldBack = false
        var generation: UInt64 = 0
        var features: NetworkFeatures?
        /// Cgroups of workloads that are no more: their last process may not have left them yet.
        var leftovers: [String] = []
        /// Of the last generations: packets are read some time after they were logged.
        var names: [(generation: UInt64, rules: NameRules)] = []
        /// Of sets of policies that came since: the next generation brings all that there are.
        var namesOfSets: [NameRules] = []
    }

    /// Generations whose rules on names are kept.
    private static let history = 4

    let board: StatusBoard
    let state = Mutex(State())
    let wake: Int32
    private let mayFilter: Bool
    private let hasHost: Bool
    private let connect: @Sendable (NetworkTable.Sockets) -> any RulesetKernel

    /// - Parameters:
    ///   - mayFilter: this process has CAP_NET_ADMIN.
    ///   - hasHost: it has it over the network that it is in, too.
    public convenience init(board: StatusBoard, mayFilter: Bool, hasHost: Bool = true) throws(KernelError) {
        try self.init(board: board, mayFilter: mayFilter, hasHost: hasHost) {
            NetfilterKernel(requests: $0.requests, monitor: $0.monitor)
        }
    }

    /// - Parameter connect: makes of the sockets of a table what it asks.
    init(
        board: StatusBoard, mayFilter: Bool, hasHost: Bool = true,
        connect: @escaping @Sendable (NetworkTable.Sockets) -> any RulesetKernel
    ) throws(KernelError) {
        self.hasHost = hasHost
        self.board = board
        self.mayFilter = mayFilter
        self.connect = connect
        wake = try EventDescriptor.make()
    }

    // MARK: - Rules

    /// Puts the host's rules of a generation in force, in place of what there was; when this throws, nothing has changed.
    ///
    /// - Parameters:
    ///   - names: what the policies of the generation say of names.
    ///   - isHeldBack: the table, which a worker before has made, stays as it is until `resume`: it has rules of workloads that are not known yet.
    /// - Returns: what of them is not enforced.
    public func load(
        _ ruleset: Ruleset?, names: NameRules = NameRules(), generation: UInt64, isHeldBack: Bool = false
    ) throws(NetfilterError) -> [PlanNote] {
        let result = state.withLock { state -> Result<[PlanNote], NetfilterError> in
            // Before the first packet is logged in their name.
            state.names.removeAll { $0.generation == generation }
            state.names.append((generation, names))
            if state.names.count > Self.history { state.names.removeFirst() }
            state.namesOfSets = []
            if isHeldBack { state.isHeldBack = true }
            openHost(&state)
            return put(ruleset ?? Ruleset(logGroup: 0), SnapshotBundle.host, &state).map { notes in
                state.generation = generation
                return notes
            }
        }
        EventDescriptor.signal(wake)
        return try result.get()
    }

    /// Takes in what further sets of policies say of names, before a container is put under their rules.
    public func add(_ names: NameRules) {
        state.withLock { if !names.isEmpty { $0.namesOfSets.append(names) } }
    }

    /// Puts in force what was held back.
    public func resume() throws(NetfilterError) {
        let result = state.withLock { state -> Result<Void, NetfilterError> in
            guard state.isHeldBack else { return .success(()) }
            state.isHeldBack = false
            return applyHost(&state)
        }
        EventDescriptor.signal(wake)
        try result.get()
    }

    /// Puts the ruleset of one workload in force, in place of what there was of it.
    ///
    /// - Returns: what of it is not enforced.
    public func put(_ ruleset: Ruleset, for workload: UInt64) throws(NetfilterError) -> [PlanNote] {
        let result = state.withLock { put(ruleset, workload, &$0) }
        EventDescriptor.signal(wake)
        return try result.get()
    }

    private func put(
        _ wanted: Ruleset, _ workload: UInt64, _ state: inout State
    ) -> Result<[PlanNote], NetfilterError> {
        if workload == SnapshotBundle.host || state.networks[workload] != nil {
            let before = state.rules[workload]
            state.rules[workload] = wanted.isEmpty ? nil : wanted
            if case .failure(let error) = applyHost(&state) {
                state.rules[workload] = before
                return .failure(error)
            }
        } else if let table = state.tables[workload] {
            do throws(NetfilterError) {
                try table.apply(
                    wanted.reduced(to: features(&state, needed: !wanted.isEmpty)), now: KernelClock.monotonic)
            } catch { return .failure(error) }
            table.bindLog()
            countRules(state)
        }
        let notes = Set(notes(on: wanted, of: workload, &state))
        return .success(notes.sorted { ($0.rule.rawValue, $0.gap.rawValue) < ($1.rule.rawValue, $1.gap.rawValue) })
    }

    /// Puts in force what the host's table is to hold.
    private func applyHost(_ state: inout State) -> Result<Void, NetfilterError> {
        guard !state.isHeldBack, let table = state.tables[SnapshotBundle.host] else { return .success(()) }
        let features = features(&state, needed: !state.rules.isEmpty)
        let own = (state.rules[SnapshotBundle.host] ?? Ruleset(logGroup: 0)).reduced(to: features)
        let shared = state.networks.sorted { $0.key < $1.key }.compactMap { workload, network -> Ruleset.Scoped? in
            guard case .shared(let scope, _, _) = network, let ruleset = state.rules[workload] else { return nil }
            return Ruleset.Scoped(workload: workload, scope: scope, ruleset: ruleset.reduced(to: features))
        }
        do throws(NetfilterError) {
            try table.apply(own.joined(with: shared), now: KernelClock.monotonic)
        } catch { return .failure(error) }
        table.bindLog()
        countRules(state)
        return .success(())
    }

    private func countRules(_ state: borrowing State) {
        board.set(.packetRules, UInt64(state.tables.values.reduce(0) { $0 + $1.ruleset.ruleCount }))
    }

    /// What this kernel offers; asked once, and not at all while no policy needs it.
    private func features(_ state: inout State, needed: Bool = true) -> NetworkFeatures {
        if !needed { return .all }
        if let known = state.features { return known }
        guard let table = state.tables.values.first else { return [] }
        let features = table.features
        state.features = features
        return features
    }

    private func openHost(_ state: inout State) {
        guard mayFilter, hasHost, state.tables[SnapshotBundle.host] == nil, let sockets = try? NetworkTable.Sockets()
        else {
            return
        }
        state.tables[SnapshotBundle.host] = NetworkTable(sockets, connect(sockets))
    }

    /// What of a workload's rules is not enforced, and by what its packets are told.
    private func notes(on ruleset: Ruleset, of workload: UInt64, _ state: inout State) -> [PlanNote] {
        guard !ruleset.isEmpty else { return [] }
        let network = state.networks[workload]
        guard let table = state.tables[network == nil ? workload : SnapshotBundle.host] else {
            return ruleset.notes(.packetsUnfiltered)
        }
        if network == .indistinct { return ruleset.notes(.hostNetwork) }
        var notes = ruleset.notes(lacking: features(&state))
        if !table.isLogBound { notes.append(PlanNote(rule: .none, gap: .packetsUnlogged)) }
        guard case .shared(let scope, _, let directory)? = network else {
            return workload == SnapshotBundle.host ? notes : notes + ruleset.notes(.toldByNetwork)
        }
        notes += ruleset.notes(scope.note)
        if !directory.isEmpty { notes += ruleset.policyRules.map { PlanNote(rule: $0, gap: .leavesCgroup) } }
        if !scope.tellsArriving {
            notes += ruleset.rules(reachedFrom: { $0.hook == .input }).map {
                PlanNote(rule: $0, gap: .arrivalsIndistinct)
            }
        }
        if case .users = scope {
            notes += ruleset.policyRules.map { PlanNote(rule: $0, gap: .sharesUsers) }
        }
        return notes
    }

    // MARK: - Workloads

    /// How a new workload's packets are told from others'.
    public enum Arrival: Sendable {
        /// It brings its network or its cgroup along.
        case container
        /// It is about to begin, in whatever cgroup its starter is in.
        case tree(UInt64)
    }

    /// Takes in where the packets of a workload are, whose rules are put in force next.
    public func add(process: Int32, as workload: UInt64, _ arrival: Arrival = .container) throws(KernelError) {
        guard mayFilter, state.withLock({ $0.tables[workload] == nil && $0.networks[workload] == nil }) else { return }
        let namespace = try NetworkNamespace(of: process)
        guard namespace.isOwn else {
            let sockets = try namespace.run { () throws(KernelError) in try NetworkTable.Sockets() }
            let table = NetworkTable(sockets, connect(sockets))
            state.withLock { $0.tables[workload] = table }
            return
        }
        let features = state.withLock { state in
            openHost(&state)
            return self.features(&state)
        }
        let network: WorkloadNetwork =
            switch arrival {
            case .container: .sharing(process, features)
            case .tree(let number): .separating(process, tree: number, features)
            }
        state.withLock { $0.networks[workload] = network }
    }

    /// Takes in what a worker before knew of a workload that shares the host's network.
    public func inherit(_ network: WorkloadNetwork, of workload: UInt64) {
        guard mayFilter else { return }
        state.withLock { $0.networks[workload] = network }
    }

    /// Where the packets of a workload are that shares the host's network; `nil` for others.
    public func network(of workload: UInt64) -> WorkloadNetwork? { state.withLock { $0.networks[workload] } }

    /// A workload is no more; a network of its own went with it.
    public func remove(_ workload: UInt64) {
        state.withLock { state in
            if let table = state.tables.removeValue(forKey: workload) { state.ended.append((workload, table)) }
            guard let network = state.networks.removeValue(forKey: workload) else { return }
            // What cannot be taken away now names a cgroup that nobody is in any more.
            if state.rules.removeValue(forKey: workload) != nil { _ = applyHost(&state) }
            if case .shared(_, _, let directory) = network, !directory.isEmpty { state.leftovers.append(directory) }
            Self.removeLeftovers(&state)
        }
        EventDescriptor.signal(wake)
    }

    /// Removes the cgroups that nobody is in any more.
    static func removeLeftovers(_ state: inout State) {
        state.leftovers.removeAll { directory in
            do throws(KernelError) {
                try CgroupDirectory.remove(directory)
                return true
            } catch { return error.errno != 16 }  // EBUSY
        }
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
}
