import EventRing
import LinuxKernel
import PolicyEngine
import Synchronization

/// The groups a permission thread reads, set by the control thread.
///
/// There is one group for the host, and for the length of a reload two: the new one is read before its first mark is set, the old one until
/// its marks are gone and its queue is empty. The group of containers stays: marks come to it and go with each container.
public final class PermissionGroups: Sendable {
    /// The group of containers; negative for none.
    let containers: Int32
    let current = Atomic<Int32>(-1)
    let retiring = Atomic<Int32>(-1)
    /// Incremented by the thread each time it found the retiring group's queue empty.
    let retiringIdle = Atomic<UInt64>(0)
    let stop = Atomic<Bool>(false)
    /// Wakes the thread out of poll(2) when one of the above changes.
    let wake: Int32

    /// - Parameters:
    ///   - wake: an eventfd that outlives the thread.
    ///   - containers: the group of containers; negative for none.
    public init(wake: Int32, containers: Int32) {
        self.wake = wake
        self.containers = containers
    }
}

/// The permission thread's loop: reads events, decides, answers, then reports. One instance, one thread, no allocation after
/// the first event.
struct PermissionLoop {
    private let groups: PermissionGroups
    private let cell: StateCell
    private let board: StatusBoard
    private var decider: PermissionDecider
    private let callThreads: CallThreads
    private let reporter: PermissionReporter
    private let features: EventFeatures
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 24 * 64, alignment: 8)
    private var spin = AdaptiveSpin()

    private static let known =
        FanotifyMask.openPermission | FanotifyMask.openExecPermission | FanotifyMask.accessPermission

    init(
        groups: PermissionGroups, cell: StateCell, board: StatusBoard, reporter: PermissionReporter,
        features: EventFeatures, executions: RecentExecutions, callThreads: CallThreads
    ) {
        decider = PermissionDecider(executions)
        self.callThreads = callThreads
        self.features = features
        self.groups = groups
        self.cell = cell
        self.board = board
        self.reporter = reporter
    }

    /// Runs until asked to stop. Needs a dedicated thread.
    mutating func run() {
        // What objects are called is found out by way of the current directory (`MountNames`).
        _ = PathName.separateDirectories()
        while !groups.stop.load(ordering: .acquiring) {
            let group = groups.current.load(ordering: .acquiring)
            var found = group >= 0 && drain(group, of: .host)
            if groups.containers >= 0, drain(groups.containers, of: .containers) { found = true }
            let retiring = groups.retiring.load(ordering: .acquiring)
            if retiring >= 0 {
                if drain(retiring, of: .host) {
                    found = true
                } else {
                    groups.retiringIdle.wrappingAdd(1, ordering: .releasing)
                }
            }
            if found { continue }
            if retiring < 0, group >= 0, spin.wait(for: group, board: board) { continue }
            board.add(.heartbeat)
            // A second between heartbeats when nothing happens: the guardian only needs progress when events wait.
            Readiness.wait(group, retiring, groups.containers, groups.wake, timeoutMilliseconds: 1000)
            EventDescriptor.drain(groups.wake)
        }
    }

    /// Reads one batch and answers it; false when the queue is empty.
    private mutating func drain(_ group: Int32, of marks: PermissionDecider.Marks) -> Bool {
        let length = Fanotify.read(group: group, into: buffer)
        if length <= 0 {
            if length == -24 || length == -23 { board.count(.descriptorExhausted) }
            return length != -11 && length != 0
        }
        handle(group, length, marks)
        return true
    }

    private mutating func handle(_ group: Int32, _ length: Int, _ marks: PermissionDecider.Marks) {
        board.add(.heartbeat)
        let state = cell.enter()
        defer { cell.leave() }
        var events = FanotifyEvents(UnsafeRawBufferPointer(rebasing: buffer[0..<length]))
        while let event = events.next() { answer(event, group, marks, state) }
    }

    /// Lets an event of our own go on. No mark is made for it: the kernel takes none of what is open to be written.
    private func pass(_ event: FanotifyEvent, _ group: Int32) {
        board.add(.events)
        _ = Fanotify.respond(group: group, descriptor: event.descriptor, allow: true)
        RawDescriptor.close(event.descriptor)
        board.add(.ownPassed)
    }

    @inline(__always)
    private mutating func answer(
        _ event: FanotifyEvent, _ group: Int32, _ marks: PermissionDecider.Marks,
        _ hostState: UnsafePointer<EnforcementState>?
    ) {
        var state = hostState
        if event.descriptor < 0 {
            if event.mask & FanotifyMask.queueOverflow != 0 { board.count(.queueOverflow) }
            return
        }
        if features.tellsThreads, callThreads.contains(event.pid) {
            pass(event, group)
            return
        }
        board.set(.busyDescriptor, UInt64(UInt32(bitPattern: event.descriptor)))
        board.set(.busySince, KernelClock.monotonic)
        board.add(.events)
        let isExec = event.mask & FanotifyMask.openExecPermission != 0
        var decision: PermissionDecision
        let isRead = event.mask & FanotifyMask.accessPermission != 0
        if event.mask & Self.known == 0 {
            decision = .failed(.unknownEvent, .file, state?.pointee.failures ?? .failClosed)
        } else if var used = state {
            decision = decider.decideEvent(
                descriptor: event.descriptor, mask: event.mask, process: event.pid, features: features, of: marks,
                state: &used)
            state = used
        } else {
            decision = .failed(.snapshotMissing, isExec ? .process : .file, .failClosed)
        }
        if let row = decision.failure { board.count(row) }
        var reported = decision.effect != .allow
        if reported, reporter.isOwn(decider.facts.processID()) {
            decision.allow = true
            reported = false
            board.add(.ownPassed)
        }
        if decision.isRepeat { reported = false }
        var told = false
        if let state, decision.effect == .allow, !isRead, marks == .host, state.pointee.sees(decision.category) {
            told = !reporter.isOwn(decider.facts.processID()) && decider.facts.containerNumber == 0
        }
        // What the alert says is captured while the caller still waits, and so still is what it was.
        if reported || told, let state {
            reporter.capture(decision, decider: &decider, thread: decider.facts.thread, state: state)
        }
        if decision.cacheable, let state, state.pointee.cachesAllows, !isExec, !isRead, decider.objectIsCacheable {
            if Fanotify.ignoreOpens(group: group, descriptor: event.descriptor) == 0 { board.add(.ignoreMarks) }
        }
        _ = Fanotify.respond(group: group, descriptor: event.descriptor, allow: decision.allow)
        board.set(.busySince, 0)
        RawDescriptor.close(event.descriptor)
        if reported || told { reporter.publish(board) }
        board.add(!decision.allow ? .blocked : reported ? .audited : .allowed)
    }
}

/// Short spinning on an empty queue, as long as it pays.
///
/// Waking an idle CPU costs more than deciding an event (measured: 37 µs against 8 µs a round trip), so after an event the next is
/// waited for on the CPU for a moment. When the opener shares our CPU it cannot come while we spin; then spinning stops, and is
/// tried again only now and then.
struct AdaptiveSpin {
    private static let budget: UInt64 = 40_000
    private static let pauseAfterMiss = 256
    private var pause = 0
    private var misses = 0

    mutating func wait(for group: Int32, board: StatusBoard) -> Bool {
        if pause > 0 {
            pause -= 1
            return false
        }
        let end = KernelClock.monotonic &+ Self.budget
        repeat {
            if Readiness.isReadable(group) {
                misses = 0
                board.add(.spinHits)
                return true
            }
        } while KernelClock.monotonic < end
        board.add(.spinMisses)
        misses = min(misses + 1, 6)
        pause = Self.pauseAfterMiss << misses
        return false
    }
}
