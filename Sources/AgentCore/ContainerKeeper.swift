import FileEnforcement
import Glibc
import LinuxKernel
import NetworkEnforcement
import PolicyEngine

/// The worker's containers: takes each in as the front tells of it, notices when its mounts or names change and when it ends, and has the guardian
/// know of it for a later worker.
final class ContainerKeeper {
    /// What the keeper has to say.
    struct Messages {
        /// Sends a message to the guardian.
        var guardian: (ChannelMessage, Int32?) -> Void
        /// Sends a message to the front, with contents.
        var front: (ChannelMessage, [UInt8]?) -> Void
    }

    private struct Container {
        var origin: ContainerOrigin
        var startTime: UInt64
        var process: Int32
        var mountWatch: Int32
        var root: ContainerRoot
        /// The set that decides it; 0 before.
        var set: UInt64 = 0
        /// What the set's rules for packets lack.
        var packetNotes: [PlanNote] = []
        /// Watched directories, by watch.
        var watches: [Int32: [UInt8]] = [:]
        /// What has changed, and when that is to be looked at, CLOCK_MONOTONIC.
        var changes: Changes = []
        var due: UInt64 = 0
        /// Its first process has ended, but others may live: it has no process numbers of its own.
        var lingers = false
    }

    private struct Changes: OptionSet {
        let rawValue: UInt8
        static let names = Changes(rawValue: 1)
        static let mounts = Changes(rawValue: 2)
        /// It was not looked at in full yet.
        static let all = Changes(rawValue: 4)
    }

    private let enforcer: ContainerEnforcer
    private let packets: NetworkEnforcer
    private let messages: Messages
    private var containers: [UInt64: Container] = [:]
    /// Containers that are to be looked at when they are due.
    private var pending: Set<UInt64> = []
    /// When the first container of a worker before was taken up, CLOCK_MONOTONIC.
    private var inheritedSince: UInt64 = 0
    /// What the packet filter does for the containers of a set.
    private var rulesets: [UInt64: Ruleset] = [:]
    private let poll: EventPoll
    private let names: Inotify
    private let mounts: MountWatch
    /// Containers that watch a directory, by watch.
    private var watchers: [Int32: Set<UInt64>] = [:]

    /// What is waited for besides the first processes of containers, which have their numbers.
    private enum Tag {
        static let names: UInt64 = 0
        static let mounts: UInt64 = 1
    }

    /// Of the time, at most one part in this many is spent on looking at what a container changes.
    private static let share: UInt64 = 5
    /// How often it is looked whether a container that lingers has ended.
    private static let lingering: UInt64 = 1_000_000_000

    init(enforcer: ContainerEnforcer, packets: NetworkEnforcer, messages: Messages) throws(KernelError) {
        self.enforcer = enforcer
        self.packets = packets
        self.messages = messages
        poll = try EventPoll()
        names = try Inotify()
        mounts = try MountWatch()
        for (descriptor, tag) in [(names.descriptor.raw, Tag.names), (mounts.descriptor, Tag.mounts)] {
            let added = poll.add(descriptor, tag: tag)
            if added < 0 { throw KernelError("epoll_ctl", errno: -added) }
        }
    }

    /// Readable when `handleEvents` has something to do.
    var descriptor: Int32 { poll.descriptor }

    /// Milliseconds until `handleEvents` has something to do without that; -1 for never.
    var patience: Int32 {
        guard let due = pending.compactMap({ containers[$0]?.due }).min() else { return -1 }
        let now = KernelClock.monotonic
        return due <= now ? 0 : Int32(min(1000, (due - now) / 1_000_000 + 1))
    }

    /// The containers there are.
    var numbers: [UInt64] { Array(containers.keys) }

    /// The root directory of a container; `nil` for one that is not known.
    func root(of number: UInt64) -> Int32? { containers[number]?.root.root }

    /// What a worker before found out about a container, besides where it is.
    struct Known: Equatable {
        /// Of its first process, so that its number is not another's.
        var startTime: UInt64
        /// The set that decides it.
        var set: UInt64
        /// What set it up, if its program did not run yet.
        var starter: ContainerSlot.Starter?

        init(startTime: UInt64, set: UInt64, starter: ContainerSlot.Starter?) {
            (self.startTime, self.set, self.starter) = (startTime, set, starter)
        }

        /// Reads `text`; `nil` for anything that it does not make.
        init?(_ text: ArraySlice<UInt8>, process: Int32) {
            let words = String(decoding: text, as: UTF8.self).split(separator: " ").compactMap { UInt64($0) }
            guard words.count == 2 || words.count == 4 else { return nil }
            (startTime, set) = (words[0], words[1])
            if words.count == 4 { starter = .init(process: process, device: words[2], inode: words[3]) }
        }

        var text: [UInt8] {
            Array(("\(startTime) \(set)" + (starter.map { " \($0.device) \($0.inode)" } ?? "")).utf8)
        }
    }

    // MARK: - Start

    /// Looks at a container that has been set up; why it cannot be, as one line.
    func take(_ number: UInt64, _ origin: ContainerOrigin, known: Known? = nil) -> String? {
        if containers[number] != nil { return nil }
        do {
            let process = try ProcessDescriptor.open(origin.process)
            // While the descriptor holds the process its number means nobody else.
            let stat = try ProcFS.stat(of: origin.process)
            guard known == nil || known?.startTime == stat.startTime else {
                throw KernelError("find the container's first process", errno: ESRCH)
            }
            // First: what changes between reading and watching is then read again.
            let watch = try MountTable.watch(of: origin.process)
            _ = mounts.add(watch.raw, tag: number)
            let root = try ContainerRoot(
                of: origin.process, id: origin.id, places: origin.places, isStarting: origin.isStarting,
                starter: known?.starter)
            containers[number] = Container(
                origin: origin, startTime: stat.startTime, process: process.release(), mountWatch: watch.release(),
                root: root)
            return nil
        } catch { return "container \(origin.id): \(error)" }
    }

    /// Has a container decided by a set of policies.
    ///
    /// - Parameter isBrief: its files are looked at later.
    /// - Returns: what the rules lack in it, or why not.
    func start(_ number: UInt64, set: UInt64, isBrief: Bool = false) -> Result<[PlanNote], KernelError> {
        guard let container = containers[number] else {
            return .failure(KernelError("find the container's first process", errno: ESRCH))
        }
        do throws(KernelError) {
            let notes: [PlanNote]
            if container.set == 0 {
                notes = try enforcer.start(
                    container.root, as: number, set: set, by: container.origin.way, isBrief: isBrief)
                watch(number)
            } else if let assigned = enforcer.assign(number, set: set) {
                notes = assigned
            } else {
                throw KernelError("decide the container by other policies", errno: EAGAIN)
            }
            if container.set == set { return .success(notes + container.packetNotes) }
            containers[number]?.set = set
            let packetNotes = filterPackets(number)
            containers[number]?.packetNotes = packetNotes
            watchNames(number)
            note(number)
            return .success(notes + packetNotes)
        } catch { return .failure(error) }
    }

    /// From now on a container is decided by its calls.
    func supervise(_ number: UInt64) {
        guard containers[number]?.origin.isSupervised == false else { return }
        containers[number]?.origin.isSupervised = true
        enforcer.setSupervised(number)
        _ = enforcer.refresh(number)
        watchNames(number)
        note(number)
    }

    private func watch(_ number: UInt64) {
        guard let container = containers[number] else { return }
        _ = poll.add(container.process, tag: number)
    }

    /// Has the guardian know what a later worker has to.
    private func note(_ number: UInt64) {
        guard let container = containers[number], let text = container.origin.text else { return }
        let known = Known(startTime: container.startTime, set: container.set, starter: container.root.starter)
        let note = known.text + [0] + text
        messages.guardian(ChannelMessage(.holdContainer, number: number, text: note), nil)
    }

    /// Puts the rules for packets of its set in force in the network of a container.
    private func filterPackets(_ number: UInt64) -> [PlanNote] {
        guard let container = containers[number] else { return [] }
        let rules = rulesets[container.set] ?? Ruleset(logGroup: 0)
        do {
            if !rules.isEmpty { try packets.add(process: container.origin.process, as: number) }
            return try packets.put(rules, for: number)
        } catch {
            AgentLog.error("container \(container.origin.id): no rules for packets: \(error)")
            return [PlanNote(rule: .none, gap: .packetsUnfiltered)]
        }
    }

    // MARK: - Policies

    /// Takes sets of policies in.
    ///
    /// - Parameter isAll: there are no others any more.
    func add(_ bundle: SnapshotBundle, _ network: NetworkBundle, memory: SealedRegion, isAll: Bool) {
        // One that is known stays as it is, in the memory that it came in.
        enforcer.add(
            bundle.sets.filter { !enforcer.hasSet($0.workload) }.map {
                ContainerEnforcer.PolicySet(number: $0.workload, snapshot: $0.snapshot, memory: memory)
            })
        let mentioned = network.rulesets.filter { SnapshotBundle.isSet($0.key) }
        rulesets = isAll ? mentioned : rulesets.merging(mentioned) { _, new in new }
    }

    /// Has containers decided by the sets that a bundle says, which is all there is then.
    ///
    /// - Returns: what the rules lack, by container.
    func assign(_ bundle: SnapshotBundle) -> [UInt64: [PlanNote]] {
        var notes: [UInt64: [PlanNote]] = [:]
        for assignment in bundle.assignments where containers[assignment.container].map({ $0.set != 0 }) == true {
            if case .success(let found) = start(assignment.container, set: assignment.set) {
                notes[assignment.container] = found
            }
        }
        enforcer.keepSets(Set(bundle.sets.map(\.workload)))
        return notes
    }

    // MARK: - Changes

    /// Does what has become due.
    func handleEvents() {
        while let event = poll.wait(timeoutMilliseconds: 0) {
            switch event.tag {
            case Tag.names:
                readNames()
                poll.arm(names.descriptor.raw, tag: Tag.names)
            case Tag.mounts:
                for number in mounts.take() { change(number, .mounts) }
                poll.arm(mounts.descriptor, tag: Tag.mounts)
            case let number: processEnded(number)
            }
        }
        let now = KernelClock.monotonic
        for number in pending {
            guard let container = containers[number], container.due <= now else { continue }
            pending.remove(number)
            if container.lingers { processEnded(number) }
            if !container.changes.isEmpty { refresh(number) }
        }
    }

    private func change(_ number: UInt64, _ change: Changes) {
        guard containers[number] != nil else { return }
        containers[number]?.changes.insert(change)
        pending.insert(number)
    }

    private func refresh(_ number: UInt64) {
        guard let container = containers[number] else { return }
        let begun = KernelClock.monotonic
        containers[number]?.changes = []
        var root: ContainerRoot?
        if container.changes.contains(.mounts) {
            var fresh = container.root
            // It cannot be read of a process that has just ended.
            if (try? fresh.readMounts(of: container.origin.process, places: container.origin.places)) != nil {
                root = fresh
                containers[number]?.root = fresh
            }
        }
        let notes = enforcer.refresh(number, root) ?? []
        watchNames(number)
        let taken = KernelClock.monotonic - begun
        containers[number]?.due = begun + taken * Self.share
        messages.front(ChannelMessage(.containerChanged, number: number), PlanReport.encode([number: notes]))
    }

    /// Watches the directories on which the container's plan depends, and no others.
    private func watchNames(_ number: UInt64) {
        guard let container = containers[number] else { return }
        let wanted = enforcer.watched(number)
        for (watch, path) in container.watches where !wanted.contains(path) { unwatch(watch, number) }
        let descriptor = names.descriptor.raw
        let added = try? RootedWork.run(in: container.root.root, withinMilliseconds: 1000) {
            wanted.map { path in (path, Inotify.addDirectory(path, to: descriptor)) }
        }
        for (path, watch) in added ?? [] where watch >= 0 {
            containers[number]?.watches[watch] = path
            watchers[watch, default: []].insert(number)
        }
    }

    private func unwatch(_ watch: Int32, _ number: UInt64) {
        containers[number]?.watches[watch] = nil
        watchers[watch]?.remove(number)
        guard watchers[watch]?.isEmpty == true else { return }
        watchers[watch] = nil
        try? names.remove(watch)
    }

    private func readNames() {
        while let events = try? names.events(), !events.isEmpty {
            for event in events {
                if event.mask.contains(.overflow) {
                    for number in containers.keys { change(number, .names) }
                }
                for number in watchers[event.watch] ?? [] { change(number, .names) }
                if event.mask.contains(.watchRemoved) {
                    for number in watchers.removeValue(forKey: event.watch) ?? [] {
                        containers[number]?.watches[event.watch] = nil
                    }
                }
            }
        }
    }

    // MARK: - End

    private func processEnded(_ number: UInt64) {
        guard let container = containers[number] else { return }
        // With the first process of a process namespace all others end.
        guard container.root.namespaces.count < 2, isPopulated(container.root) else { return end(number) }
        containers[number]?.lingers = true
        containers[number]?.due = KernelClock.monotonic + Self.lingering
        pending.insert(number)
    }

    /// Whether a process has the container's mounts.
    private func isPopulated(_ root: ContainerRoot) -> Bool {
        var isFound = false
        _ = ProcFS.forEachProcess { pid in
            var namespace = ObjectStatus()
            if !isFound, ProcFS.object(of: pid, "ns/mnt", into: &namespace) == 0,
                root.namespaces.contains(namespace.inode)
            {
                isFound = true
            }
        }
        return isFound
    }

    /// A container is no more, or is not going to be.
    func end(_ number: UInt64) {
        guard let container = containers[number] else { return }
        for watch in container.watches.keys { unwatch(watch, number) }
        enforcer.end(number)
        packets.remove(number)
        containers[number] = nil
        pending.remove(number)
        poll.remove(container.process)
        mounts.remove(container.mountWatch)
        for descriptor in [container.process, container.mountWatch, container.root.root] {
            RawDescriptor.close(descriptor)
        }
        messages.guardian(ChannelMessage(.forgetContainer, number: number), nil)
        messages.front(ChannelMessage(.workloadEnded, number: number), nil)
    }

    // MARK: - After another worker

    /// Takes up a container that a worker before had, by what that told of it.
    func inherit(_ number: UInt64, _ note: [UInt8]) {
        let parts = note.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let origin = ContainerOrigin(Array(parts[1])),
            let known = Known(parts[0], process: origin.process)
        else { return }
        if let problem = take(number, origin, known: known) {
            AgentLog.warning("\(problem); it has ended")
            return forget(number)
        }
        if inheritedSince == 0 { inheritedSince = KernelClock.monotonic }
        let isBrief = KernelClock.monotonic - inheritedSince > Self.inheritancePatience
        if case .failure(let error) = start(number, set: known.set, isBrief: isBrief) {
            AgentLog.error("container \(origin.id): \(error)")
        }
        if isBrief { change(number, .all) }
    }

    /// Nanoseconds after which containers are taken up without a look at their files, which is then taken later: meanwhile nothing is decided.
    private static let inheritancePatience: UInt64 = 1_000_000_000

    private func forget(_ number: UInt64) {
        messages.guardian(ChannelMessage(.forgetContainer, number: number), nil)
        messages.front(ChannelMessage(.workloadEnded, number: number), nil)
    }
}

extension ContainerOrigin {
    /// Where the host has what is the container's own.
    fileprivate var places: ContainerRoot.Places {
        ContainerRoot.Places(root: Array(rootPath.utf8), bundle: Array(bundle.utf8))
    }
}
