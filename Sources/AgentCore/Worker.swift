import EventRing
import FileEnforcement
import Glibc
import LinuxKernel
import NetworkEnforcement
import PolicyEngine
import SyscallEnforcement

/// The worker: the one role that reads kernel queues. It takes compiled snapshots from the front and parses nothing else.
final class Worker {
    private let settings: AgentSettings
    private let board: StatusBoard
    private let enforcer: FileEnforcer
    private let packets: NetworkEnforcer
    private let reporter: PermissionReporter
    private let leftovers: [Int32]
    private var trees: TreeKeeper
    private let containers: ContainerKeeper
    private let incarnation: UInt64
    private let isVisitor: Bool
    private var mapped: SealedRegion?
    private var activeNumber: UInt64 = 0
    private var isServing = false
    /// The packet filter's rules in force, and what of them is not enforced.
    private var inForce = (rules: NetworkBundle(), names: NameRules())
    private var networkNotes: [UInt64: [PlanNote]] = [:]
    private var fileNotes: [PlanNote] = []

    /// Takes over the descriptors the guardian passed.
    ///
    /// - Parameters:
    ///   - retiring: how many groups of an interrupted reload follow `RoleDescriptor.firstRetiring`.
    ///   - incarnation: how many workers there were before.
    ///   - isVisitor: it is in another user namespace than the agent, for the containers there.
    init(settings: AgentSettings, retiring: Int, incarnation: UInt64, isVisitor: Bool) throws(KernelError) {
        self.isVisitor = isVisitor
        self.settings = settings
        board = try SharedRegions.board(RoleDescriptor.board)
        let wake = try EventDescriptor.make()
        enforcer = FileEnforcer(
            group: settings.usesEvents ? RoleDescriptor.primary : nil,
            containerGroup: settings.usesEvents ? RoleDescriptor.containers : nil, wake: wake, board: board,
            failures: settings.failures,
            cachesAllows: settings.cachesAllows, reviewsReads: settings.accessReview,
            visible: settings.visible, callThreads: CallLoop.threads)
        let capabilities = try Capabilities.current()
        packets = try NetworkEnforcer(
            board: board, mayFilter: settings.filtersPackets && capabilities.effective.contains(.netAdmin),
            hasHost: !isVisitor)
        trees = try TreeKeeper(board: board, enforcer: enforcer, seesEvents: settings.usesEvents)
        containers = try ContainerKeeper(
            enforcer: enforcer.containers, packets: packets,
            messages: ContainerKeeper.Messages(
                guardian: { Channel.send(RoleDescriptor.guardian, $0, descriptor: $1) }, front: Self.tellFront))
        self.incarnation = incarnation
        reporter = try Self.makeReporter(board, RingOwner.control(incarnation))
        leftovers = (0..<retiring).map { RoleDescriptor.firstRetiring + Int32($0) }
    }

    private static func makeReporter(
        _ board: StatusBoard, _ owner: UInt64
    ) throws(KernelError) -> PermissionReporter {
        let (block, event) = (
            try SharedRegions.ring(RoleDescriptor.blockRing), try SharedRegions.ring(RoleDescriptor.eventRing)
        )
        do {
            return try PermissionReporter(
                blockRing: block, eventRing: event, owner: owner, wake: RoleDescriptor.ringWake,
                ownProcesses: OwnProcesses(board: board))
        } catch { throw KernelError("claim a lane of the event ring", errno: ENOSPC) }
    }

    private static func makePacketReporter(_ owner: UInt64) throws(KernelError) -> PacketReporter {
        let (block, event) = (
            try SharedRegions.ring(RoleDescriptor.blockRing), try SharedRegions.ring(RoleDescriptor.eventRing)
        )
        do {
            return try PacketReporter(
                blockRing: block, eventRing: event, owner: owner, wake: RoleDescriptor.ringWake)
        } catch { throw KernelError("claim a lane of the event ring", errno: ENOSPC) }
    }

    /// The number of a stop after which nothing is enforced any more.
    static let stopForGood: UInt64 = 1

    /// Runs until the guardian says stop, or for ever. Returns the exit code.
    func run(hasSnapshot: Bool) -> Int32 {
        if hasSnapshot { restoreSnapshot() }
        takeInheritance()
        send(.ready)
        Self.tellFront(ChannelMessage(.hello, number: activeNumber))
        var guardianAlive = true
        // The guardian holds the front's end too: only without both it is closed, and then for good.
        var frontAlive = true
        while true {
            var poll = PollSet()
            poll.add(guardianAlive ? RoleDescriptor.guardian : -1, .readable)
            poll.add(frontAlive ? RoleDescriptor.peer : -1, .readable)
            // Looking at directories can be asked about, and until it serves nobody would answer.
            poll.add(isServing ? enforcer.nameDescriptor : -1, .readable)
            poll.add(isServing ? enforcer.mountDescriptor : -1, enforcer.mountReadiness)
            poll.add(trees.table.ended, .readable)
            poll.add(isServing ? containers.descriptor : -1, .readable)
            _ = poll.wait(timeoutMilliseconds: isServing ? containers.patience : -1)
            if poll.isReady(0) {
                switch readGuardian() {
                case .stop: return 0
                case .lost:
                    // Rules outlive the guardian; only restarts and deadlines are gone.
                    guardianAlive = false
                    AgentLog.error("the guardian has ended; enforcement goes on without it")
                case .nothing: break
                }
            }
            if poll.isReady(1) { frontAlive = readFront() }
            if poll.isReady(2) || poll.isReady(3), let report = enforcer.namesChanged() {
                fileNotes = report.notes
                tellNotes()
                Self.tellFront(ChannelMessage(.namesChanged))
            }
            if poll.isReady(4) {
                for tree in trees.table.takeEnded() {
                    send(.dropListener, number: tree.number)
                    if trees.release(tree) {
                        packets.remove(tree.workload)
                        networkNotes[tree.workload] = nil
                        Self.tellFront(ChannelMessage(.workloadEnded, number: tree.workload))
                    }
                }
                trees.showCount()
            }
            if isServing { containers.handleEvents() }
            // Nobody would ever end it.
            if isVisitor, !guardianAlive, containers.numbers.isEmpty { return 0 }
        }
    }

    // MARK: - Guardian

    private enum GuardianEvent { case nothing, stop, lost }

    private func readGuardian() -> GuardianEvent {
        while true {
            switch Channel.next(RoleDescriptor.guardian) {
            case .none: return .nothing
            case .closed: return .lost
            case .message(let message, let descriptor):
                var isTaken = false
                defer { if let descriptor, !isTaken { RawDescriptor.close(descriptor) } }
                switch message.kind {
                case .adopt: adopt(message, descriptor)
                case .serve: serve()
                case .listener:
                    if let descriptor {
                        inheritTree(message, listener: descriptor)
                        isTaken = true
                    }
                case .stop:
                    enforcer.stop()
                    if message.number == Self.stopForGood || settings.removesPacketRules { packets.removeAll() }
                    return .stop
                default: break
                }
            }
        }
    }

    /// Takes the containers that a worker before had.
    private func takeInheritance() {
        send(.restored)
        let end = KernelClock.monotonic + Self.inheritance
        while KernelClock.monotonic < end {
            switch Channel.next(RoleDescriptor.guardian) {
            case .closed: return
            case .none: Readiness.wait(RoleDescriptor.guardian, timeoutMilliseconds: 1000)
            case .message(let message, let descriptor):
                defer { if let descriptor { RawDescriptor.close(descriptor) } }
                switch message.kind {
                case .inheritSets: if let descriptor { addSets(descriptor, isNew: false) }
                case .inheritContainer: containers.inherit(message.number, message.text)
                case .inherited: return
                default: break
                }
            }
        }
        AgentLog.error("the guardian does not say which containers there are")
    }

    /// Nanoseconds that the guardian may take for that.
    private static let inheritance: UInt64 = 10_000_000_000

    private func serve() {
        guard !isServing else { return }
        isServing = true
        // Each thread reports with buffers of its own.
        do {
            do { try packets.resume() } catch { AgentLog.error("the network rules stay as they were: \(error)") }
            try enforcer.serve(Self.makeReporter(board, RingOwner.queue(incarnation)))
            try packets.serve(Self.makePacketReporter(RingOwner.packets(incarnation)))
            let shared = try CallLoop.Shared(
                trees: trees.table, board: board, executions: enforcer.executions, threads: enforcer.callThreads,
                ownSockets: [
                    settings.effectiveSocketPath, settings.effectiveGatewaySocketPath, settings.runtimeSocketPath,
                ])
            for thread in 0..<CallLoop.threads { try serveCalls(thread, shared) }
        } catch {
            AgentLog.error("\(error)")
            exit(1)
        }
        for group in leftovers { enforcer.retire(leftover: group, handover: handover) }
    }

    private func serveCalls(_ thread: Int, _ shared: CallLoop.Shared) throws(KernelError) {
        let cell = enforcer.callStates[thread]
        let reporter = try Self.makeReporter(board, RingOwner.calls(incarnation, thread: thread))
        _ = try KernelThread.start(name: "calls-\(thread)") {
            do {
                var loop = try CallLoop(thread: thread, shared: shared, cell: cell, reporter: reporter)
                loop.run()
            } catch {
                AgentLog.error("a thread for system calls cannot be started: \(error)")
                exit(1)
            }
        }
    }

    /// - Parameter listener: the listener itself; otherwise it is taken from the candidate.
    private func supervise(_ message: ChannelMessage, listener: Int32? = nil) {
        var held: UInt64?
        var networkProblem: String?
        let hold: (TreeTable.Tree) -> Bool = { [self] tree in
            held = tree.number
            networkProblem = separate(tree, process: TreeKeeper.Candidate(message.text)?.pid ?? 0)
            let network = packets.network(of: tree.workload).map { " " + $0.note } ?? ""
            return Channel.send(
                RoleDescriptor.guardian,
                ChannelMessage(.holdListener, number: tree.number, text: TreeKeeper.note(tree) + Array(network.utf8)),
                descriptor: tree.listener)
                && Channel.receive(
                    RoleDescriptor.guardian, kind: .listenerHeld,
                    timeoutMilliseconds: Int32(settings.deadlineMilliseconds)) != nil
        }
        var problem: String
        if let candidate = TreeKeeper.Candidate(message.text) {
            problem =
                (listener.map { trees.take(candidate, listener: $0, hold: hold) } ?? trees.take(candidate, hold: hold))
                ?? ""
        } else {
            if let listener { RawDescriptor.close(listener) }
            problem = "not a request of this version"
        }
        // Nothing runs in it yet: its gate stays shut.
        if problem.isEmpty, let networkProblem { problem = networkProblem }
        if !problem.isEmpty, let held { send(.dropListener, number: held) }
        Self.tellFront(ChannelMessage(.supervised, number: message.number, text: problem))
    }

    /// Words of a tree's note before what tells its packets.
    private static let treeWords = 3

    private func inheritTree(_ message: ChannelMessage, listener: Int32) {
        trees.inherit(message.number, listener: listener, note: message.text)
        let words = String(decoding: message.text, as: UTF8.self).split(separator: " ")
        guard words.count > Self.treeWords, let workload = UInt64(words[1]),
            let network = WorkloadNetwork(note: words[Self.treeWords...])
        else { return }
        packets.inherit(network, of: workload)
        filterTree(workload)
    }

    /// Has the packets of a tree that has rules for them told from others', and puts the rules in force; why that cannot be, as one line.
    private func separate(_ tree: TreeTable.Tree, process: Int32) -> String? {
        guard tree.workload != SnapshotBundle.host, !SnapshotBundle.isContainer(tree.workload),
            inForce.rules.rulesets[tree.workload] != nil
        else { return nil }
        do { try packets.add(process: process, as: tree.workload, .tree(tree.workload)) } catch {
            return "the tree's network cannot be told: \(error)"
        }
        return filterTree(tree.workload)
    }

    /// Puts the rules for packets of a tree in force; why that cannot be, as one line.
    @discardableResult private func filterTree(_ workload: UInt64) -> String? {
        do {
            networkNotes[workload] = try packets.put(
                inForce.rules.rulesets[workload] ?? Ruleset(logGroup: 0), for: workload)
            tellNotes()
            return nil
        } catch { return "the tree's network rules cannot be put in force: \(error)" }
    }

    /// What is said of the rules of the host and of trees, which have numbers of their own.
    private var hostNotes: [PlanNote] {
        fileNotes
            + networkNotes.flatMap { workload, notes in
                notes.filter { workload == SnapshotBundle.host || $0.rule != .none }
            }
    }

    private func tellNotes() {
        Self.tellFront(
            ChannelMessage(.planned, number: activeNumber), PlanReport.encode([SnapshotBundle.host: hostNotes]))
    }

    /// Decides an event that came while there was no worker.
    private func adopt(_ message: ChannelMessage, _ descriptor: Int32?) {
        guard let descriptor, let event = Caretaker.HeldEvent.parse(message) else {
            send(.adoptedVerdict, number: message.number, text: [settings.failures.allows(.workerLost) ? 1 : 0])
            return
        }
        let allow = enforcer.decideAdopted(
            descriptor: descriptor, mask: event.mask, thread: event.thread, isOfContainers: event.isOfContainers,
            reporter: reporter)
        send(.adoptedVerdict, number: message.number, text: [allow ? 1 : 0])
    }

    private func send(_ kind: ChannelMessage.Kind, number: UInt64 = 0, text: [UInt8] = []) {
        Channel.send(RoleDescriptor.guardian, ChannelMessage(kind, number: number, text: text))
    }

    private var handover: FileEnforcer.GroupHandover {
        FileEnforcer.GroupHandover(
            hold: { [settings] group in
                Channel.send(RoleDescriptor.guardian, ChannelMessage(.holdGroup), descriptor: group)
                // Without an answer the guardian is gone or stuck; the rules matter more than the second holder.
                _ = Channel.receive(
                    RoleDescriptor.guardian, kind: .groupHeld,
                    timeoutMilliseconds: Int32(settings.deadlineMilliseconds))
            },
            drop: { Channel.send(RoleDescriptor.guardian, ChannelMessage(.dropGroup)) })
    }

    // MARK: - Front

    /// Does what the front asks; false when nobody can ask any more.
    private func readFront() -> Bool {
        while true {
            switch Channel.next(RoleDescriptor.peer) {
            case .none: return true
            case .closed: return false
            case .message(let message, let descriptor):
                var isTaken = false
                defer { if let descriptor, !isTaken { RawDescriptor.close(descriptor) } }
                switch (message.kind, descriptor) {
                case (.resolve, let memory?): resolve(message.number, memory)
                case (.snapshot, let memory?): load(message.number, memory)
                case (.supervise, nil): supervise(message)
                case (.supervise, let listener?):
                    isTaken = true
                    supervise(message, listener: listener)
                case (.container, _):
                    if let origin = ContainerOrigin(message.text), let problem = containers.take(message.number, origin)
                    {
                        AgentLog.error(problem)
                    }
                case (.sets, let memory?): addSets(memory, isNew: true)
                case (.startContainer, _): startContainer(message)
                case (.superviseContainer, _): containers.supervise(message.number)
                case (.dropContainer, _): containers.end(message.number)
                case (.askWorkloads, _):
                    let numbers = (trees.table.workloads + containers.numbers).map(String.init)
                    Self.tellFront(ChannelMessage(.workloads, text: numbers.joined(separator: " ")))
                default: break
                }
            }
        }
    }

    private func startContainer(_ message: ChannelMessage) {
        let words = message.string.split(separator: " ").compactMap { UInt64($0) }
        guard words.count == 2 else { return }
        let result = containers.start(message.number, set: words[1])
        var answer = ChannelMessage(.containerStarted, number: words[0])
        if case .failure(let error) = result { answer.text = Array("\(error)".utf8) }
        Self.tellFront(answer, PlanReport.encode([message.number: (try? result.get()) ?? []]))
    }

    /// - Parameter isNew: the guardian does not have them.
    private func addSets(_ memory: Int32, isNew: Bool) {
        do {
            let region = try SealedRegion(memory)
            let bundle = try SnapshotBundle(validating: region.bytes, hasHost: false)
            let rules = try NetworkBundle(decoding: UnsafeRawBufferPointer(rebasing: region.bytes[bundle.network]))
            packets.add(NameRules(bundle, keptBy: region))
            containers.add(bundle, rules, memory: region, isAll: false)
            if isNew { Channel.send(RoleDescriptor.guardian, ChannelMessage(.keepSets), descriptor: memory) }
        } catch { AgentLog.error("policies of containers are not taken in: \(error)") }
    }

    private func resolve(_ number: UInt64, _ descriptor: Int32) {
        guard let bytes = SealedRegion.contents(of: descriptor) else { return }
        let answer = NameResolution.groups(bytes).map { group in
            if group.workload == SnapshotBundle.host { return (group.workload, Self.realNames(of: group.names)) }
            let real = containers.root(of: group.workload).flatMap { root in
                try? RootedWork.run(in: root, withinMilliseconds: Int32(settings.deadlineMilliseconds)) {
                    Self.realNames(of: group.names)
                }
            }
            return (group.workload, real ?? [])
        }
        Self.tellFront(ChannelMessage(.resolved, number: number), NameResolution.encode(answer))
    }

    /// Names in the calling thread's root that lead elsewhere, each with where to.
    private static func realNames(of names: [String]) -> [String] {
        var view = HostFilesystem(mounts: [])
        return names.flatMap { name -> [String] in
            let literal = Array(name.utf8)
            let canonical = RealName.of(literal) { view.object(at: $0)?.canonicalPath }
            guard let canonical, canonical != literal else { return [] }
            return [name, String(decoding: canonical, as: UTF8.self)]
        }
    }

    private func load(_ number: UInt64, _ descriptor: Int32) {
        do {
            let region = try SealedRegion(descriptor)
            let notes: [UInt64: [PlanNote]]
            do { notes = try putInForce(region, isHeldBack: false) } catch {
                Self.tellFront(ChannelMessage(.refused, number: number, text: "\(error)"))
                return
            }
            // The one before is not used any more, and is unmapped with its last reference.
            mapped = region
            activeNumber = number
            Channel.send(RoleDescriptor.guardian, ChannelMessage(.keepSnapshot), descriptor: descriptor)
            Self.tellFront(ChannelMessage(.activated, number: number), PlanReport.encode(notes))
            handle(enforcer.staleDescriptors())
        } catch {
            Self.tellFront(ChannelMessage(.refused, number: number, text: "\(error)"))
        }
    }

    /// Puts everything of a generation in force or, when this throws, nothing.
    ///
    /// - Parameter isHeldBack: the rules for packets are in force already.
    private func putInForce(_ region: SealedRegion, isHeldBack: Bool) throws -> [UInt64: [PlanNote]] {
        let bundle = try SnapshotBundle(validating: region.bytes)
        let rules = try NetworkBundle(decoding: UnsafeRawBufferPointer(rebasing: region.bytes[bundle.network]))
        let names = NameRules(bundle, keptBy: region)
        // The packet filter first: it alone can put back what was there before.
        let host = NetworkBundle(rules.rulesets.filter { !SnapshotBundle.isSet($0.key) })
        let notes = try packets.load(
            host.rulesets[SnapshotBundle.host], names: names, generation: bundle.host.generation, isHeldBack: isHeldBack
        )
        do { fileNotes = try enforcer.load(region.bytes, handover: handover).notes } catch {
            _ = try? packets.load(
                inForce.rules.rulesets[SnapshotBundle.host], names: inForce.names, generation: activeNumber)
            throw error
        }
        inForce = (host, names)
        let trees = networkNotes.keys.filter { $0 != SnapshotBundle.host }
        networkNotes = [SnapshotBundle.host: notes]
        for workload in trees { if let problem = filterTree(workload) { AgentLog.error(problem) } }
        containers.add(bundle, rules, memory: region, isAll: true)
        return containers.assign(bundle).merging([SnapshotBundle.host: hostNotes], uniquingKeysWith: +)
    }

    /// The snapshot that the last worker had in force; the front need not be there.
    private func restoreSnapshot() {
        guard let region = try? SealedRegion(RoleDescriptor.secondary),
            let notes = try? putInForce(region, isHeldBack: true)
        else {
            return
        }
        mapped = region
        activeNumber = board.value(.generation)
        Self.tellFront(ChannelMessage(.planned, number: activeNumber), PlanReport.encode(notes))
    }

    private func handle(_ stale: [StaleDescriptor]) {
        let own = OwnProcesses(board: board)
        for finding in stale where !own.contains(finding.pid) {
            enforcer.report(finding, reporter: reporter)
            guard settings.killStaleDescriptors else { continue }
            let result = finding.endHolder()
            if result != 0 && result != -ESRCH {
                AgentLog.error("process \(finding.pid) cannot be ended: \(KernelError.message(-result))")
            }
        }
    }

    private static func tellFront(_ message: ChannelMessage, _ contents: [UInt8]? = nil) {
        guard let contents else {
            Channel.send(RoleDescriptor.peer, message)
            return
        }
        guard let memory = try? SealedRegion.seal(contents, name: "portcullis-answer") else { return }
        Channel.send(RoleDescriptor.peer, message, descriptor: memory)
        RawDescriptor.close(memory)
    }
}
