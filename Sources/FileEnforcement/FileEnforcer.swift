import EventRing
import Glibc
import LinuxKernel
import PolicyEngine
import PolicyModel

/// Enforces file and process rules by fanotify: owns the permission thread, the marks, the object index and the state that
/// the thread decides with. Used from one thread, the worker's control thread.
public final class FileEnforcer {
    /// Most objects in the identity index.
    public static let indexCapacity = 100_000

    /// What a new snapshot or plan came to.
    public struct Report: Sendable {
        /// Shortfalls for `status`.
        public var notes: [PlanNote]
    }

    /// Told about the steps of a reload, so that somebody else can hold the groups too.
    public struct GroupHandover {
        /// Called with a new group before its first mark.
        public var hold: (Int32) -> Void
        /// Called when the group before the newest is closed.
        public var drop: () -> Void

        /// Creates a handover.
        public init(hold: @escaping (Int32) -> Void, drop: @escaping () -> Void) {
            self.hold = hold
            self.drop = drop
        }
    }

    private let board: StatusBoard
    private let cell = StateCell()
    /// The same state for each thread that decides system calls.
    package let callStates: [StateCell]
    /// Who belongs to a workload with policies of its own.
    public let bindings = WorkloadBindings()
    private let groups: PermissionGroups
    private var marks: MarkSet
    private var watch: NameWatch?
    private var state: UnsafeMutablePointer<EnforcementState>?
    private var bundle: SnapshotBundle?
    private var plan = MarkPlan()
    private let failures: FailureTable
    private let cachesAllows: Bool
    private let reviewsReads: Bool
    private let seesEvents: Bool
    private let visible: VisibleOperations
    /// What this kernel's events tell.
    private let features: EventFeatures
    /// What all threads that decide know of.
    package let executions = RecentExecutions()
    /// The threads that decide system calls.
    package let callThreads: CallThreads
    private let treesSupported = SystemCallListener.isSupported
    /// What is done for containers.
    package let containers: ContainerEnforcer

    /// Takes over permission groups; `serve` starts answering.
    ///
    /// - Parameters:
    ///   - group: a group made by `makeGroup`; `nil` where there can be none, and only system calls are decided.
    ///   - containerGroup: another one, for the marks of containers.
    ///   - wake: an eventfd for the permission thread.
    ///   - reviewsReads: reads through descriptors that others opened are decided too.
    ///   - visible: what is told of although no rule is about it.
    ///   - callThreads: how many threads decide system calls.
    public init(
        group: Int32?, containerGroup: Int32?, wake: Int32, board: StatusBoard, failures: FailureTable,
        cachesAllows: Bool, reviewsReads: Bool, visible: VisibleOperations = VisibleOperations(),
        callThreads: Int = 0
    ) {
        self.visible = visible
        features = group == nil ? EventFeatures() : EventFeatures.probe()
        callStates = (0..<callThreads).map { _ in StateCell() }
        self.callThreads = CallThreads(count: callThreads)
        containers = ContainerEnforcer(
            group: containerGroup, cells: [cell] + callStates, board: board, failures: failures,
            reviewsReads: reviewsReads, visibility: visible.containers, features: features, bindings: bindings)
        self.reviewsReads = reviewsReads
        self.board = board
        self.failures = failures
        self.cachesAllows = cachesAllows
        groups = PermissionGroups(wake: wake, containers: containerGroup ?? -1)
        seesEvents = group != nil
        groups.current.store(group ?? -1, ordering: .releasing)
        marks = MarkSet(group: group ?? -1, features: features)
        watch = try? NameWatch(features)
    }

    /// A new permission group. FAN_UNLIMITED_QUEUE because a full queue lets operations through (fanotify(7)).
    public static func makeGroup() throws(KernelError) -> Descriptor {
        let flags: FanotifyFlags = [.contentClass, .unlimitedQueue, .unlimitedMarks, .closeOnExec, .nonblocking]
        let eventFlags = FanotifyFlags.readOnlyEvents | OpenFlags.nonblocking
        do { return try Fanotify.create(flags.union(.reportTID), eventFlags: eventFlags) } catch {
            guard error.errno == EINVAL else { throw error }
            return try Fanotify.create(flags, eventFlags: eventFlags)
        }
    }

    /// Starts the permission thread. Until now events only queue.
    public func serve(_ reporter: PermissionReporter) throws(KernelError) {
        guard seesEvents else { return }
        let (groups, cell, board, features) = (groups, cell, board, features)
        let (executions, callThreads) = (executions, callThreads)
        _ = try KernelThread.start(name: "fan-queue") {
            var loop = PermissionLoop(
                groups: groups, cell: cell, board: board, reporter: reporter, features: features,
                executions: executions, callThreads: callThreads)
            loop.run()
        }
    }

    /// Readable when a name changed that the plan depends on: then `namesChanged` is to be called.
    public var nameDescriptor: Int32 { watch?.group ?? -1 }

    /// Ready for `mountReadiness` when a mount changed: then `namesChanged` is to be called.
    public var mountDescriptor: Int32 { watch?.mounts ?? -1 }

    /// What to wait for on `mountDescriptor`.
    public var mountReadiness: PollEvents { watch?.mountReadiness ?? .readable }

    /// Decides one event outside the permission thread, before `serve`: one that came while there was no worker.
    ///
    /// - Parameter isOfContainers: it comes of the group of containers.
    /// - Returns: whether it is allowed. The event is reported like any other.
    public func decideAdopted(
        descriptor: Int32, mask: UInt64, thread: Int32, isOfContainers: Bool, reporter: PermissionReporter
    ) -> Bool {
        guard let state else { return failures.allows(.workerLost) }
        var decider = PermissionDecider(executions)
        defer { decider.deallocate() }
        var used = UnsafePointer(state)
        let decision = decider.decideEvent(
            descriptor: descriptor, mask: mask, process: thread, features: features,
            of: isOfContainers ? .containers : .host, state: &used)
        if decision.effect == .allow || reporter.isOwn(decider.facts.processID()) {
            board.add(.allowed)
            return true
        }
        if let row = decision.failure { board.count(row) }
        reporter.capture(decision, decider: &decider, thread: decider.facts.thread, state: used)
        reporter.publish(board)
        board.add(decision.allow ? .audited : .blocked)
        return decision.allow
    }

    /// Who has protected files open or mapped since before the rules in force. Slow: looks at every process.
    public func staleDescriptors() -> [StaleDescriptor] {
        state.map { StaleDescriptorScan(state: UnsafePointer($0)).run(plan) } ?? []
    }

    /// Reports a descriptor that was open before its rule.
    public func report(_ stale: StaleDescriptor, reporter: PermissionReporter) {
        reporter.publish(stale, generation: board.value(.generation), board)
    }

    /// Puts a bundle of snapshots in force, without a moment of no rules: a new group is served before its first mark, then the new
    /// snapshot decides, and only then the old group loses its marks and is emptied.
    ///
    /// - Parameter bytes: sealed memory that stays mapped until another bundle is in force.
    public func load(
        _ bytes: UnsafeRawBufferPointer, handover: GroupHandover
    ) throws(FileEnforcerError) -> Report {
        let bundle: SnapshotBundle
        do { bundle = try SnapshotBundle(validating: bytes) } catch { throw .snapshot("\(error)") }
        let newPlan: MarkPlan
        let filesystem: HostFilesystem
        do { filesystem = try HostFilesystem() } catch { throw .kernel(error) }
        newPlan = planMarks(bundle, filesystem)
        let isFirst = state == nil
        if !isFirst, seesEvents { try beginGroup(handover) }
        (plan, self.bundle) = (newPlan, bundle)
        applyMarks()
        watch?.watch(plan.watched)
        // Indexing a large tree takes longer than a start may: first decide by path, then also by object.
        var index = ObjectIndex(
            capacity: max(state?.pointee.index.count ?? 0, 16), spareBytes: state?.pointee.index.pathBytes ?? 0)
        if let known = state?.pointee.index { index.carryOver(known) }
        // The first time nobody can be renaming yet: no tree is supervised before there are rules.
        let guarded = isFirst ? GuardedDirectories() : Self.guarded(bundle)
        install(makeState(bundle, filesystem, index: index, guarded: guarded))
        board.set(.generation, bundle.host.generation)
        board.set(.activatedAt, KernelClock.wall)
        if !isFirst, seesEvents { retireGroup(handover) }
        reindex(bundle, filesystem)
        return Report(notes: notes())
    }

    /// Plans again for the snapshot in force after names or mounts changed.
    public func namesChanged() -> Report? {
        watch?.drain()
        guard let bundle, let filesystem = try? HostFilesystem() else { return nil }
        plan = planMarks(bundle, filesystem)
        applyMarks()
        watch?.watch(plan.watched)
        reindex(bundle, filesystem)
        return Report(notes: notes())
    }

    /// Stops the permission thread's loop after its current batch.
    public func stop() {
        groups.stop.store(true, ordering: .releasing)
        EventDescriptor.signal(groups.wake)
    }

    /// Serves further groups that an interrupted reload left behind: their marks are dropped, their events answered.
    public func retire(leftover group: Int32, handover: GroupHandover) {
        groups.retiring.store(group, ordering: .releasing)
        emptyRetiring(group)
        handover.drop()
    }

    // MARK: - Parts

    private func beginGroup(_ handover: GroupHandover) throws(FileEnforcerError) {
        let group: Int32
        do { group = try Self.makeGroup().release() } catch { throw .kernel(error) }
        handover.hold(group)
        let old = groups.current.load(ordering: .acquiring)
        groups.retiring.store(old, ordering: .releasing)
        groups.current.store(group, ordering: .releasing)
        EventDescriptor.signal(groups.wake)
        marks = MarkSet(group: group, features: features)
    }

    private func retireGroup(_ handover: GroupHandover) {
        emptyRetiring(groups.retiring.load(ordering: .acquiring))
        handover.drop()
    }

    private func emptyRetiring(_ group: Int32) {
        guard group >= 0 else { return }
        for scope in [MarkScope.inode, .mount, .filesystem] {
            _ = Fanotify.flush(group: group, scope: scope)
        }
        // Twice idle after the flush: the second time began after the last event could have been queued.
        let before = groups.retiringIdle.load(ordering: .acquiring)
        while groups.retiringIdle.load(ordering: .acquiring) < before &+ 2 {
            // Each time: the thread goes back to sleep in between.
            EventDescriptor.signal(groups.wake)
            usleep(200)
        }
        groups.retiring.store(-1, ordering: .releasing)
        // The thread may still hold the number from before it was taken away; a later heartbeat shows that it let go.
        let beat = board.value(.heartbeat)
        while board.value(.heartbeat) < beat &+ 2 {
            EventDescriptor.signal(groups.wake)
            usleep(200)
        }
        RawDescriptor.close(group)
    }

    private func planMarks(_ bundle: SnapshotBundle, _ filesystem: HostFilesystem) -> MarkPlan {
        MarkPlanner.plan(
            bundle.hostParts.map(\.snapshot), view: filesystem, reviewsReads: reviewsReads, visible: visible,
            features: features)
    }

    private func applyMarks() {
        if seesEvents { marks.apply(plan, board: board) }
    }

    private func makeState(
        _ bundle: SnapshotBundle, _ filesystem: HostFilesystem, index: ObjectIndex, guarded: GuardedDirectories
    ) -> EnforcementState {
        EnforcementState(
            snapshot: bundle.host, workloads: WorkloadSnapshots(bundle), containers: containers.table,
            bindings: bindings,
            mounts: MountNames(filesystem.mounts), index: index,
            guarded: guarded, interpreters: Interpreters.objects(), failures: failures,
            listsProcesses: bundle.hostParts.contains { $0.snapshot.isAllowList(.process) },
            hasProcessRules: bundle.hostParts.contains { $0.snapshot.hasRules(in: .process) },
            // An open that is not asked about again is not seen again either.
            cachesAllows: cachesAllows && !visible.host.contains(.file), visibility: visible.host)
    }

    private static func guarded(_ bundle: SnapshotBundle) -> GuardedDirectories {
        GuardedDirectories(bundle.hostParts.map { ($0.workload, $0.snapshot) })
    }

    private func reindex(_ bundle: SnapshotBundle, _ filesystem: HostFilesystem) {
        let (index, isComplete) = ObjectIndexer.index(
            plan.indexed, limit: Self.indexCapacity, carrying: state?.pointee.index.entries ?? [])
        if !isComplete { plan.notes.insert(PlanNote(rule: .none, gap: .indexFull)) }
        install(
            makeState(bundle, filesystem, index: index, guarded: Self.guarded(bundle)))
        board.set(.indexedObjects, UInt64(index.count))
    }

    private func install(_ new: EnforcementState) {
        let next = UnsafeMutablePointer<EnforcementState>.allocate(capacity: 1)
        next.initialize(to: new)
        let old = cell.exchange(next) { usleep(50) }
        for cell in callStates { _ = cell.exchange(next) { usleep(50) } }
        state = next
        guard let old else { return }
        old.pointee.deallocate()
        UnsafeMutablePointer(mutating: old).deallocate()
    }

    private func notes() -> [PlanNote] {
        var result = plan.notes
        if !treesSupported { result.insert(PlanNote(rule: .none, gap: .treesUnsupported)) }
        if !marks.refused.isEmpty { result.insert(PlanNote(rule: .none, gap: .markRefused)) }
        return result.sorted { ($0.rule.rawValue, $0.gap.rawValue) < ($1.rule.rawValue, $1.gap.rawValue) }
    }
}

/// Why a snapshot was not put in force. The one before stays.
public enum FileEnforcerError: Error, CustomStringConvertible {
    case snapshot(String)
    case kernel(KernelError)

    /// One line for people.
    public var description: String {
        switch self {
        case .snapshot(let text): "snapshot refused: \(text)"
        case .kernel(let error): "\(error)"
        }
    }
}
