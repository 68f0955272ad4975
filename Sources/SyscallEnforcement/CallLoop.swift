import FileEnforcement
import Glibc
import LinuxKernel
import PolicyEngine

/// One of the call threads: takes a notification of any supervised tree, decides, performs or refuses the call, answers, then
/// reports. While it is kept by a call, another one goes on. No allocation after the first calls.
package struct CallLoop {
    /// How many there are. A call can keep its thread waiting (a network filesystem, a lease).
    package static let threads = StatusBoard.callThreads

    /// What the call threads share.
    package final class Shared: Sendable {
        let trees: TreeTable
        let board: StatusBoard
        let duty: CallDuty
        let waiting = WaitingCalls()
        let unanswered = UnansweredCalls()
        let resolvers = ResolverSockets()
        let managers: ManagerSockets
        let table = CallTable()
        let executions: RecentExecutions
        let threads: CallThreads

        /// - Parameter ownSockets: names of the agent's, which no tree may connect to.
        /// - Throws: without descriptors.
        package init(
            trees: TreeTable, board: StatusBoard, executions: RecentExecutions, threads: CallThreads,
            ownSockets: [String]
        ) throws(KernelError) {
            self.trees = trees
            self.board = board
            self.executions = executions
            self.threads = threads
            managers = ManagerSockets(own: ownSockets)
            duty = try CallDuty(threads: CallLoop.threads)
        }
    }

    let thread: Int
    let trees: TreeTable
    private let cell: StateCell
    let board: StatusBoard
    let duty: CallDuty
    let waiting: WaitingCalls
    let unanswered: UnansweredCalls
    private let table: CallTable
    private var judge: CallJudge
    private var broker: CallBroker
    var notification = SystemCallNotification()

    /// What became of a notification.
    enum Decision {
        /// It was answered, or nobody waits any more.
        case done
        /// It has to be tried again, when something happens to a socket or after a while.
        case waits(SocketWait?)
    }

    /// For the calling thread.
    ///
    /// - Parameters:
    ///   - thread: 0 up to `threads`.
    ///   - cell: the state that decides; no other thread reads it.
    /// - Throws: when the thread cannot act in others' names.
    package init(
        thread: Int, shared: Shared, cell: StateCell, reporter: PermissionReporter
    ) throws(KernelError) {
        self.thread = thread
        (trees, board, duty, waiting) = (shared.trees, shared.board, shared.duty, shared.waiting)
        self.cell = cell
        table = shared.table
        unanswered = shared.unanswered
        judge = CallJudge(
            reporter: reporter, board: board, executions: shared.executions, managers: shared.managers)
        broker = try CallBroker(resolvers: shared.resolvers)
        shared.threads.add(thread, id: KernelThread.currentID)
    }

    /// Runs for ever.
    package mutating func run() {
        while true {
            if !duty.isOnDuty(thread) { duty.awaitTurn(thread) }
            let event = trees.wait(timeoutMilliseconds: waiting.patience(KernelClock.monotonic))
            if waiting.count != 0 { retry() }
            guard let event else { continue }
            if let held = TreeTable.held(event) {
                wake(held)
                continue
            }
            let slot = Int(event.tag)
            guard let tree = trees.enter(slot) else { continue }
            if event.isReadable {
                serve(slot, tree)
            } else {
                trees.end(slot)
            }
            trees.leave(slot)
        }
    }

    private mutating func serve(_ slot: Int, _ tree: TreeTable.Tree) {
        duty.begin(thread)
        defer { duty.end(thread) }
        // Before it is taken: should we die in between, the guardian knows where to look.
        board.hold(thread, tree: tree.number, call: 0, since: KernelClock.monotonic)
        let result = SystemCallListener.receive(tree.listener, into: &notification)
        if result == 0 {
            board.setLastCall(notification.id, of: tree.number)
            board.hold(thread, tree: tree.number, call: notification.id, since: KernelClock.monotonic)
        }
        trees.rearm(slot, tree)
        // A thread that was killed meanwhile is no longer there to be asked about.
        if result == 0 {
            board.add(.calls)
            if case .waits(let wait) = decide(tree) { hold(slot, tree, wait) }
        }
        board.letGo(thread)
    }

    /// Decides the notification at hand.
    ///
    /// - Parameter wait: what it waited for, when it was begun before.
    mutating func decide(_ tree: TreeTable.Tree, _ wait: SocketWait? = nil) -> Decision {
        let state = cell.enter()
        defer { cell.leave() }
        guard let state = state.flatMap({ Self.view($0, of: tree) }) else {
            // No tree is supervised before the first snapshot, unless a worker took it over: then there are rules somewhere.
            board.count(.snapshotMissing)
            _ = SystemCallListener.finish(tree.listener, notification.id, result: -Int(EACCES))
            return .done
        }
        let kind = table.kind(notification)
        if let call = PathCall(kind, notification), !(call.operation == .open && call.flags & Self.pathOnly != 0) {
            return perform(call, tree, state, wait)
        }
        if let request = SocketRequest(kind, notification) { return perform(request, tree, state, wait) }
        let isStarting = trees.isStarting(tree)
        judge.begin(
            thread: notification.thread, workload: tree.workload, .init(number: table.nativeNumber(notification)),
            asks: !isStarting)
        let (error, proof) = judgeRegisters(kind, state)
        judge.reportCall(table.name(notification), path: nil, notification, isRefused: error != 0, state)
        let answered =
            error == 0
            ? SystemCallListener.proceed(tree.listener, notification.id, because: proof)
            : SystemCallListener.finish(tree.listener, notification.id, result: -Int(error))
        // What was found out is about the thread that waited only if the kernel takes the answer: its number may be another's by now. A call
        // that a signal called away comes again.
        guard answered == 0 else { return .done }
        judge.publish()
        return .done
    }

    /// What a tree is decided with; `nil` for a container whose policies are not in force.
    private static func view(
        _ state: UnsafePointer<EnforcementState>, of tree: TreeTable.Tree
    ) -> UnsafePointer<EnforcementState>? {
        SnapshotBundle.isContainer(tree.workload) ? state.pointee.containers.view(of: tree.workload) : state
    }

    /// Such an open gives nothing to read or write.
    private static let pathOnly = UInt32(bitPattern: OpenFlags.path)

    /// Decides a call on its registers and on who makes it: 0 or an errno, and what that rested on.
    private mutating func judgeRegisters(
        _ kind: CallKind, _ state: UnsafePointer<EnforcementState>
    ) -> (error: Int32, RegisterProof) {
        if table.name(notification).isEmpty {
            return (judge.fail(.unknownCall, .syscall, state) ? 0 : EACCES, .failureTable)
        }
        if let error = table.forbidden.first(notification) { return (error, .callNumber) }
        if !judge.permitsCall(table.name(notification), notification, state) { return (EACCES, .callNumber) }
        if kind == .socket || kind == .socketpair, !judge.permits(SocketCall(notification), state) {
            return (EACCES, .socketRegisters)
        }
        if kind == .mmap || kind == .mmap2, !judge.permits(MapCall(notification), state) {
            return (EACCES, .mapRegisters)
        }
        if let capability = neededCapability(), !judge.permits(capability: capability, state) {
            return (EPERM, .capabilityRegisters)
        }
        switch kind {
        case .socket, .socketpair: return (0, .socketRegisters)
        case .mmap, .mmap2: return (0, .mapRegisters)
        default: return (0, .callNumber)
        }
    }

    /// The capability that a call's registers say it needs.
    private mutating func neededCapability() -> UInt8? {
        if let number = table.capabilities.first(notification) { return UInt8(truncatingIfNeeded: number) }
        guard let number = table.ownIDs.first(notification) else { return nil }
        return judge.ownsIDs(of: notification, table.name(notification), isGroup: number == 6)
            ? nil : UInt8(truncatingIfNeeded: number)
    }

    private mutating func perform(
        _ request: SocketRequest, _ tree: TreeTable.Tree, _ state: UnsafePointer<EnforcementState>, _ wait: SocketWait?
    ) -> Decision {
        judge.begin(
            thread: notification.thread, workload: tree.workload, .init(number: table.nativeNumber(notification)),
            asks: !trees.isStarting(tree))
        guard judge.permitsCall(table.name(notification), notification, state) else {
            return end(CallBroker.denied, tree, state)
        }
        let tracked = request.operation != .listen && canComeTwice(tree) ? unanswered : nil
        return end(
            broker.run(request, notification, in: tree, &judge, state, unanswered: tracked, wait: wait), tree, state,
            tracked)
    }

    private mutating func perform(
        _ call: PathCall, _ tree: TreeTable.Tree, _ state: UnsafePointer<EnforcementState>, _ wait: SocketWait?
    ) -> Decision {
        let isStarting = trees.isStarting(tree)
        judge.begin(
            thread: notification.thread, workload: tree.workload,
            .init(
                number: table.nativeNumber(notification), openFlags: call.operation == .open ? call.flags : nil),
            asks: !isStarting || call.operation == .execute,
            enters: isStarting && tree.isEntered && call.operation == .execute)
        guard judge.permitsCall(table.name(notification), notification, state) else {
            return end(CallBroker.denied, tree, state)
        }
        if let capability = table.capabilities.first(notification),
            !judge.permits(capability: UInt8(truncatingIfNeeded: capability), state)
        {
            return end(.result(-Int(EPERM)), tree, state)
        }
        let tracked = call.countsRepeats && canComeTwice(tree) ? unanswered : nil
        return end(
            broker.run(call, notification, in: tree, &judge, state, unanswered: tracked, wait: wait), tree, state,
            tracked)
    }

    /// Answers a call that was performed or refused, and reports.
    private mutating func end(
        _ answer: CallBroker.Answer, _ tree: TreeTable.Tree, _ state: UnsafePointer<EnforcementState>,
        _ tracked: UnansweredCalls? = nil
    ) -> Decision {
        var isAnswered = true
        var kept: CallBroker.Answer?
        switch answer {
        case .waits: return .waits(nil)
        case .waitsFor(let wait): return .waits(wait)
        case .proceed(let proof):
            judge.reportCall(
                table.name(notification), path: nil, notification, isRefused: false, state)
            isAnswered = SystemCallListener.proceed(tree.listener, notification.id, because: proof) == 0
        case .brokenPipe: isAnswered = breakPipe(tree)
        case .result(let result):
            // What is not there was not touched (telemetry of KubeArmor leaves it out as well).
            if result != -Int(ENOENT) {
                judge.reportCall(
                    table.name(notification), path: judge.lastPath, notification, isRefused: judge.effect == .block,
                    state)
            }
            isAnswered = SystemCallListener.finish(tree.listener, notification.id, result: result) == 0
            // EINTR: it was given up before anything was done.
            if !isAnswered, judge.effect != .block, result != -Int(EINTR) { kept = answer }
        case .execution(let program):
            judge.reportCall(
                table.name(notification), path: judge.lastPath, notification, isRefused: false, state)
            // A signal called it away before it was answered: it comes again, and is told of then.
            guard execute(program, tree, state) else { return .done }
        case .descriptor(let descriptor, let closeOnExec):
            judge.reportCall(
                table.name(notification), path: judge.lastPath, notification, isRefused: judge.effect == .block, state)
            var added: Int32?
            let result = SystemCallListener.finish(
                tree.listener, notification.id, descriptor: descriptor, closeOnExec: closeOnExec, added: &added)
            if result == -ENOENT, tracked != nil {
                // What it has already it is not given again.
                kept = added.map { .result(Int($0)) } ?? answer
                if added != nil { RawDescriptor.close(descriptor) }
                break
            }
            // EMFILE is the caller's own limit.
            if result != 0 {
                _ = SystemCallListener.finish(tree.listener, notification.id, result: Int(result))
            }
            RawDescriptor.close(descriptor)
        }
        tracked?.finish(notification, kept)
        judge.publish(isAnswered: isAnswered)
        return .done
    }

    /// EPIPE, and SIGPIPE to the thread that waits. A signal calls the thread away from what it waits in, unless its filter asks for another
    /// (WAIT_KILLABLE_RECV): then it comes first, as from the kernel.
    private func breakPipe(_ tree: TreeTable.Tree) -> Bool {
        let thread = notification.thread
        let comesFirst = !canComeTwice(tree)
        guard SystemCallListener.isWaiting(tree.listener, notification.id) else { return false }
        if comesFirst { SocketCalls.signal(SIGPIPE, thread: thread, of: broker.caller.process) }
        let isAnswered = SystemCallListener.finish(tree.listener, notification.id, result: -Int(EPIPE)) == 0
        if !comesFirst, isAnswered { SocketCalls.signal(SIGPIPE, thread: thread, of: broker.caller.process) }
        return isAnswered
    }

    /// Whether a signal can have the kernel make a call again that was performed.
    func canComeTwice(_ tree: TreeTable.Tree) -> Bool {
        SnapshotBundle.isContainer(tree.workload) || !SystemCallListener.canWaitKillably
    }

    // MARK: - Executing

    /// How often a stop is asked for that another thread of ours may have, and microseconds between.
    private static let (stopTries, stopPause) = (50, UInt32(2000))

    /// Lets an execution go on, and looks before the program's first instruction whether it is the one that was allowed: its name lies
    /// in memory that others can change, and names come to mean something else.
    ///
    /// - Returns: whether the call was there to be answered.
    private mutating func execute(
        _ program: CallBroker.Program, _ tree: TreeTable.Tree, _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        // The runtime's own steps end where the program begins.
        trees.setStarted(tree)
        var error: Int32 = 0
        var stop = ExecutionStop.begin(notification.thread, error: &error)
        // EPERM: whoever had the call before a signal had it made again may hold the thread, for a moment.
        for _ in 0..<Self.stopTries where error == EPERM {
            guard SystemCallListener.isWaiting(tree.listener, notification.id) else { break }
            usleep(Self.stopPause)
            stop = ExecutionStop.begin(notification.thread, error: &error)
        }
        guard let stop else {
            // ESRCH: it was killed meanwhile.
            let allows = error != ESRCH && judge.fail(.executionUnverified, .process, state)
            return
                (allows
                ? SystemCallListener.proceed(tree.listener, notification.id, because: .failureTable)
                : SystemCallListener.finish(tree.listener, notification.id, result: -Int(EACCES))) == 0
        }
        let isAnswered = SystemCallListener.proceed(tree.listener, notification.id, because: .executionStop) == 0
        guard case .executed(let process) = stop.wait() else { return isAnswered }
        judge.publish()
        judge.begin(
            thread: process, workload: tree.workload, .init(number: table.nativeNumber(notification)))
        if broker.verifies(process, program, &judge, state) {
            stop.release(process)
        } else {
            stop.kill(process)
        }
        return true
    }
}
