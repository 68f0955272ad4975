import Glibc
import LinuxKernel
import PolicyEngine
import PolicyModel

/// Enforces the policies of containers: what each is decided with, what it is known by, and its marks. A container's start and end touch nothing
/// of any other. Used from one thread, the worker's control thread.
package final class ContainerEnforcer {
    /// A set of policies that containers share. Its memory stays as long as somebody uses it.
    package final class PolicySet: @unchecked Sendable {
        // Unchecked: nothing of it changes.
        package let number: UInt64
        let snapshot: Snapshot
        private let memory: AnyObject

        /// - Parameter memory: what holds the snapshot's bytes.
        package init(number: UInt64, snapshot: Snapshot, memory: AnyObject) {
            self.number = number
            self.snapshot = snapshot
            self.memory = memory
        }
    }

    /// How a container is held.
    package enum Way: Sendable, Equatable {
        /// By marks on its objects.
        case marks
        /// By a filter with a listener, which decides every open and execution as a call.
        case calls
    }

    private struct Container: Sendable {
        var slot: ContainerSlot
        var root: ContainerRoot
        var set: PolicySet
        var way: Way
        var keys: Set<ContainerTable.Key> = []
        var plan = MarkPlan()
        var marks: Set<PlannedMark> = []
        /// What they hang on.
        var objects: Set<MarkedObject> = []
        var refused: [PlannedMark: Int32] = [:]
        /// The marks could be set, but for those refused.
        var isMarked = false
    }

    /// What carries a mark, which can be several containers'.
    private enum MarkedObject: Hashable, Sendable {
        case inode(UInt64, device: UInt64)
        case mount(UInt64)
        case filesystem(device: UInt64)
    }

    let table = ContainerTable()
    private let group: Int32?
    private let cells: [StateCell]
    private let board: StatusBoard
    private let failures: FailureTable
    private let reviewsReads: Bool
    private let visibility: Visibility
    private let features: EventFeatures
    private let bindings: WorkloadBindings
    private var containers: [UInt64: Container] = [:]
    private var sets: [UInt64: PolicySet] = [:]
    /// Which containers an object was marked for.
    private var owners: [MarkedObject: Set<UInt64>] = [:]
    /// The containers that a file system or a namespace could stand for; if there are several, it stands for none.
    private var users: [ContainerTable.Key: [ContainerSlot]] = [:]
    /// Most objects known by name in one container.
    private static let indexCapacity = 20_000

    /// - Parameters:
    ///   - group: the permission group of containers; `nil` where there can be none, and only system calls are decided.
    ///   - cells: those of all threads that decide.
    ///   - features: what the kernel's fanotify has.
    init(
        group: Int32?, cells: [StateCell], board: StatusBoard, failures: FailureTable, reviewsReads: Bool,
        visibility: Visibility, features: EventFeatures, bindings: WorkloadBindings
    ) {
        (self.visibility, self.features) = (visibility, features)
        self.bindings = bindings
        self.group = group
        self.cells = cells
        self.board = board
        self.failures = failures
        self.reviewsReads = reviewsReads
    }

    // MARK: - Policies

    /// Takes sets of policies in.
    package func add(_ new: [PolicySet]) { for set in new { sets[set.number] = set } }

    /// Whether there is a set.
    package func hasSet(_ number: UInt64) -> Bool { sets[number] != nil }

    /// Forgets all sets but these; those that containers have stay with them.
    package func keepSets(_ numbers: Set<UInt64>) { sets = sets.filter { numbers.contains($0.key) } }

    /// The containers there are.
    package var workloads: [UInt64] { Array(containers.keys) }

    /// What a container is, for who looks at it again.
    package func root(of workload: UInt64) -> ContainerRoot? { containers[workload]?.root }

    // MARK: - Containers

    /// Takes a container in: from now on it is decided by a set's policies.
    ///
    /// - Parameter isBrief: its files are not looked at yet: it keeps the marks that it has, and objects are known by their names alone until
    ///   `refresh`.
    /// - Returns: what the set's rules lack in it.
    /// - Throws: ENOENT when there is no such set; then the container is not known.
    package func start(
        _ root: ContainerRoot, as workload: UInt64, set number: UInt64, by way: Way, isBrief: Bool = false
    ) throws(KernelError) -> [PlanNote] {
        guard let set = sets[number] else { throw KernelError("find the policies of a container", errno: ENOENT) }
        let slot = ContainerSlot(workload: workload, isSupervised: way == .calls, starter: root.starter)
        containers[workload] = Container(slot: slot, root: root, set: set, way: way)
        table.set(.workload(workload), slot, grace: grace)
        do throws(KernelError) { try renew(workload, isBrief: isBrief) } catch {
            end(workload)
            throw error
        }
        bind(workload)
        board.set(.containers, UInt64(containers.count))
        return isBrief ? [] : mark(workload)
    }

    /// Decides a container by another set's policies.
    ///
    /// - Returns: what its rules lack there; `nil` when there is no such set or container, or nothing could be made of it.
    package func assign(_ workload: UInt64, set number: UInt64) -> [PlanNote]? {
        guard let set = sets[number], let before = containers[workload]?.set else { return nil }
        if before === set { return notes(workload) }
        containers[workload]?.set = set
        do { try renew(workload) } catch {
            containers[workload]?.set = before
            return nil
        }
        return mark(workload)
    }

    /// Decides a container's opens and executions as calls from now on; its marks go.
    package func setSupervised(_ workload: UInt64) {
        guard let container = containers[workload], container.way != .calls else { return }
        container.slot.setSupervised()
        containers[workload]?.way = .calls
        unmark(workload)
    }

    /// A container's names or mounts have changed.
    ///
    /// - Parameter root: with its mounts, if they have.
    /// - Returns: what its rules lack now; `nil` when it is not known.
    package func refresh(_ workload: UInt64, _ root: ContainerRoot? = nil) -> [PlanNote]? {
        guard containers[workload] != nil else { return nil }
        if let root {
            containers[workload]?.root = root
            bind(workload)
        }
        try? renew(workload)
        return mark(workload)
    }

    /// Directories in which a change of names changes what is marked, as the container calls them.
    package func watched(_ workload: UInt64) -> Set<[UInt8]> {
        containers[workload].map { $0.way == .marks ? $0.plan.watched : [] } ?? []
    }

    /// A container is no more. Its root is the caller's.
    package func end(_ workload: UInt64) {
        guard let container = containers[workload] else { return }
        unmark(workload)
        containers[workload] = nil
        for key in container.keys { unbind(key, container.slot) }
        table.clear(.workload(workload), container.slot)
        board.set(.containers, UInt64(containers.count))
        let state = container.slot.exchange(nil)
        grace()
        Self.free(state)
        container.slot.deallocate()
    }

    // MARK: - Parts

    private func grace() { for cell in cells { cell.awaitReader { usleep(50) } } }

    private static func free(_ state: UnsafePointer<EnforcementState>?) {
        guard let state else { return }
        state.pointee.deallocate()
        UnsafeMutablePointer(mutating: state).deallocate()
    }

    /// Has a container known by its mounts, file systems, namespaces and control groups.
    private func bind(_ workload: UInt64) {
        guard let container = containers[workload] else { return }
        var keys: Set<ContainerTable.Key> = []
        for mount in container.root.mounts {
            keys.insert(.mount(mount.id, device: mount.deviceNumber))
            let isPublic = container.root.shared.contains(mount.deviceNumber)
            if !isPublic, HostFilesystem.isMarkable(mount) { keys.insert(.device(mount.deviceNumber)) }
        }
        keys.formUnion(container.root.namespaces.map { .namespace($0) })
        keys.formUnion(container.root.groups.map { group in group.withUnsafeBytes { .group(ControlGroupHash($0)) } })
        for key in container.keys.subtracting(keys) { unbind(key, container.slot) }
        for key in keys.subtracting(container.keys) { bind(key, container.slot) }
        containers[workload]?.keys = keys
    }

    private func bind(_ key: ContainerTable.Key, _ slot: ContainerSlot) {
        guard key.canBeShared else { return table.set(key, slot, grace: grace) }
        let others = users[key, default: []]
        users[key] = others + [slot]
        if let known = others.first { table.clear(key, known) } else { table.set(key, slot, grace: grace) }
    }

    private func unbind(_ key: ContainerTable.Key, _ slot: ContainerSlot) {
        table.clear(key, slot)
        guard key.canBeShared else { return }
        let others = users[key, default: []].filter { $0.word != slot.word }
        users[key] = others.isEmpty ? nil : others
        if others.count == 1 { table.set(key, others[0], grace: grace) }
    }

    /// What a container is decided with, before it is.
    private struct Draft: @unchecked Sendable {
        // Unchecked: nobody else has the state yet.
        var plan: MarkPlan
        var state: EnforcementState
    }

    /// Makes what a container is decided with.
    private func renew(_ workload: UInt64, isBrief: Bool = false) throws(KernelError) {
        guard let container = containers[workload] else { return }
        let way = container.way
        let known = container.slot.state?.pointee.index.entries ?? []
        let base = DraftBase(
            table: table, bindings: bindings, failures: failures, reviewsReads: reviewsReads && way == .marks,
            visibility: visibility, features: features, guardsDirectories: way == .calls)
        let draft =
            isBrief
            ? base.brief(container.set.snapshot, container.root)
            : try RootedWork.run(in: container.root.root, withinMilliseconds: Self.patience) {
                base.draft(container.set.snapshot, container.root, known)
            }
        let state = UnsafeMutablePointer<EnforcementState>.allocate(capacity: 1)
        state.initialize(to: draft.state)
        containers[workload]?.plan = draft.plan
        let old = container.slot.exchange(state)
        grace()
        Self.free(old)
    }

    /// Milliseconds that the file systems of a container may take to be looked at. A container can have one that never answers.
    private static let patience: Int32 = 3000

    private struct DraftBase: Sendable {
        let table: ContainerTable
        let bindings: WorkloadBindings
        let failures: FailureTable
        let reviewsReads: Bool
        let visibility: Visibility
        let features: EventFeatures
        let guardsDirectories: Bool

        /// On a thread whose root is the container's.
        func draft(_ snapshot: Snapshot, _ root: ContainerRoot, _ known: [ObjectIndex.Entry]) -> Draft {
            let view = HostFilesystem(mounts: root.mounts, shared: root.shared)
            var plan = MarkPlanner.plan([snapshot], view: view, reviewsReads: reviewsReads, features: features)
            let (index, isComplete) = ObjectIndexer.index(
                plan.indexed, limit: ContainerEnforcer.indexCapacity, carrying: known)
            if !isComplete { plan.notes.insert(PlanNote(rule: .none, gap: .indexFull)) }
            return Draft(
                plan: plan,
                state: state(
                    snapshot, root, index,
                    guarded: guardsDirectories
                        ? GuardedDirectories([(SnapshotBundle.host, snapshot)]) : GuardedDirectories(),
                    interpreters: snapshot.hasRules(in: .process) ? Interpreters.objects() : FlatTable(capacity: 0)))
        }

        /// Without a look at the container's files.
        func brief(_ snapshot: Snapshot, _ root: ContainerRoot) -> Draft {
            Draft(
                plan: MarkPlan(),
                state: state(
                    snapshot, root, ObjectIndex(capacity: 16), guarded: GuardedDirectories(),
                    interpreters: FlatTable(capacity: 0)))
        }

        private func state(
            _ snapshot: Snapshot, _ root: ContainerRoot, _ index: ObjectIndex, guarded: GuardedDirectories,
            interpreters: FlatTable
        ) -> EnforcementState {
            EnforcementState(
                snapshot: snapshot, workloads: WorkloadSnapshots(), containers: table, bindings: bindings,
                mounts: MountNames(root.mounts), index: index, guarded: guarded, interpreters: interpreters,
                failures: failures, listsProcesses: snapshot.isAllowList(.process),
                hasProcessRules: snapshot.hasRules(in: .process), cachesAllows: false,
                visibility: visibility)
        }
    }

    // MARK: - Marks

    /// Sets the marks of a container's plan, and takes away those that it has no use for any more.
    ///
    /// - Returns: what the rules lack.
    private func mark(_ workload: UInt64) -> [PlanNote] {
        guard let container = containers[workload] else { return [] }
        guard container.way == .marks, let group else { return notes(workload) }
        // Marks of one object are one mark to the kernel.
        let kept = Set(container.plan.marks.map(\.path))
        remove(container.marks.filter { !kept.contains($0.path) }, of: workload)
        let planned = container.plan.marks
        let features = features
        let done = try? RootedWork.run(in: container.root.root, withinMilliseconds: Self.patience) {
            planned.map { (mark: $0, result: MarkSet.apply($0, to: group, features), object: Self.object(of: $0)) }
        }
        var (marks, refused): (Set<PlannedMark>, [PlannedMark: Int32]) = ([], [:])
        for (mark, result, object) in done ?? [] {
            if result == 0 {
                marks.insert(mark)
                guard let object else { continue }
                owners[object, default: []].insert(workload)
                containers[workload]?.objects.insert(object)
            } else if result != -ENOENT {
                // An object that has just gone is no refusal: the watch on its directory has the plan made again.
                refused[mark] = result
                if container.refused[mark] == nil { board.add(.markFailures) }
            }
        }
        containers[workload]?.marks = marks
        containers[workload]?.refused = refused
        containers[workload]?.isMarked = done != nil
        return notes(workload)
    }

    /// What the rules lack in a container.
    private func notes(_ workload: UInt64) -> [PlanNote] {
        guard let container = containers[workload] else { return [] }
        guard container.way == .marks, group != nil else { return container.plan.notes.filter { $0.gap == .indexFull } }
        var notes = container.plan.notes
        if !container.refused.isEmpty || !container.isMarked { notes.insert(PlanNote(rule: .none, gap: .markRefused)) }
        return notes.sorted { ($0.rule.rawValue, $0.gap.rawValue) < ($1.rule.rawValue, $1.gap.rawValue) }
    }

    /// Takes all marks of a container away.
    private func unmark(_ workload: UInt64) {
        guard let container = containers[workload] else { return }
        remove(container.marks, of: workload)
        // What was moved away has no name to find it by; its events ask about nobody.
        for object in container.objects { disown(object, workload) }
        containers[workload]?.marks = []
        containers[workload]?.objects = []
    }

    private func remove(_ marks: Set<PlannedMark>, of workload: UInt64) {
        guard let container = containers[workload], let group, !marks.isEmpty else { return }
        // What others have marks on, too, keeps its own.
        let others = container.objects.filter { owners[$0] != [workload] }
        let features = features
        let removed = try? RootedWork.run(in: container.root.root, withinMilliseconds: Self.patience) {
            marks.compactMap { mark -> MarkedObject? in
                let object = Self.object(of: mark)
                if object.map(others.contains) != true { _ = MarkSet.apply(mark, to: group, features, .remove) }
                return object
            }
        }
        for object in removed ?? [] {
            disown(object, workload)
            containers[workload]?.objects.remove(object)
        }
    }

    private func disown(_ object: MarkedObject, _ workload: UInt64) {
        guard let users = owners[object] else { return }
        owners[object] = users == [workload] ? nil : users.subtracting([workload])
    }

    /// What a mark hangs on, in the calling thread's root; `nil` for what is not there.
    private static func object(of mark: PlannedMark) -> MarkedObject? {
        guard let descriptor = HostFilesystem.pin(mark.path) else { return nil }
        defer { RawDescriptor.close(descriptor) }
        var status = ObjectStatus()
        guard ObjectStatus.read(descriptor: descriptor, into: &status) == 0 else { return nil }
        switch mark.scope {
        case .inode, .directory: return .inode(status.inode, device: status.device)
        case .mount: return .mount(status.mountID)
        case .filesystem: return .filesystem(device: status.device)
        }
    }
}

extension ContainerTable.Key {
    /// Several containers can have it at a time.
    fileprivate var canBeShared: Bool {
        switch self {
        case .device, .namespace, .group: true
        case .mount, .workload: false
        }
    }
}
