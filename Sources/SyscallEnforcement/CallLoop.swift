import FileEnforcement
import Glibc
import LinuxKernel
import PolicyEngine

/// One of the call threads: takes a notification of any supervised tree, decides, performs or refuses the call, answers, then
/// reports. While it is busy, or waits for a filesystem, the others go on. No allocation after the first calls.
package struct CallLoop {
    /// How many there are. A call can keep its thread waiting (a network filesystem, a lease).
    package static let threads = 8

    private let trees: TreeTable
    private let cell: StateCell
    private let board: StatusBoard
    private let table = CallTable()
    private var judge: CallJudge
    private var broker: PathCallBroker
    private var notification = SystemCallNotification()
    private var waiting: [WaitingCall] = []
    private let firstHeld: Int

    /// A call that waits for somebody else, and is tried again from the beginning.
    private struct WaitingCall {
        var slot: Int
        var notification: SystemCallNotification
        var held: Int
    }

    /// Milliseconds between two tries.
    private static let pause: Int32 = 5

    /// For the calling thread.
    ///
    /// - Parameters:
    ///   - thread: 0 up to `threads`.
    ///   - cell: the state that decides; no other thread reads it.
    /// - Throws: when the thread cannot act in others' names.
    package init(
        thread: Int, trees: TreeTable, cell: StateCell, board: StatusBoard, reporter: PermissionReporter
    ) throws(KernelError) {
        self.trees = trees
        self.cell = cell
        self.board = board
        judge = CallJudge(reporter: reporter, board: board)
        broker = try PathCallBroker()
        firstHeld = thread * StatusBoard.heldCallsPerThread
        waiting.reserveCapacity(StatusBoard.heldCallsPerThread)
    }

    /// Runs for ever.
    package mutating func run() {
        while true {
            guard let event = trees.wait(timeoutMilliseconds: waiting.isEmpty ? -1 : Self.pause) else {
                retry()
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
        // Before it is taken: should we die in between, the guardian knows where to look.
        board.hold(firstHeld, tree: tree.number, call: 0, since: KernelClock.monotonic)
        let result = SystemCallListener.receive(tree.listener, into: &notification)
        if result == 0 {
            board.setLastCall(notification.id, of: tree.number)
            board.hold(firstHeld, tree: tree.number, call: notification.id, since: KernelClock.monotonic)
        }
        trees.rearm(slot, tree)
        // A thread that was killed meanwhile is no longer there to be asked about.
        if result == 0 {
            board.add(.calls)
            if !decide(tree) { wait(slot, tree) }
        }
        board.letGo(firstHeld)
    }

    /// Decides the notification at hand; false when it has to be tried again.
    private mutating func decide(_ tree: TreeTable.Tree) -> Bool {
        let state = cell.enter()
        defer { cell.leave() }
        guard let state else {
            // No tree is supervised before the first snapshot, unless a worker took it over: then there are rules somewhere.
            board.count(.snapshotMissing)
            _ = SystemCallListener.finish(tree.listener, notification.id, result: -Int(EACCES))
            return true
        }
        let kind = table.kind(notification.architecture, notification.number)
        if let call = PathCall(kind, notification) { return perform(call, kind, tree, state) }
        judge.begin(thread: notification.thread, .init(number: table.nativeNumber(kind)))
        let isAllowed: Bool
        let proof: RegisterProof
        if kind == .socket || kind == .socketpair {
            (isAllowed, proof) = (judge.permits(SocketCall(notification), state), .socketRegisters)
        } else {
            (isAllowed, proof) = (judge.fail(.unknownCall, .syscall, state), .failureTable)
        }
        // What was found out is about the thread that waits only if it still does: its number may be another's by now.
        guard SystemCallListener.isWaiting(tree.listener, notification.id) else { return true }
        _ =
            isAllowed
            ? SystemCallListener.proceed(tree.listener, notification.id, because: proof)
            : SystemCallListener.finish(tree.listener, notification.id, result: -Int(EACCES))
        judge.publish()
        return true
    }

    private mutating func perform(
        _ call: PathCall, _ kind: CallKind, _ tree: TreeTable.Tree, _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        judge.begin(
            thread: notification.thread,
            .init(number: table.nativeNumber(kind), openFlags: call.operation == .open ? call.flags : nil))
        switch broker.run(call, notification, in: tree, &judge, state) {
        case .waits: return false
        case .result(let result): _ = SystemCallListener.finish(tree.listener, notification.id, result: result)
        case .descriptor(let descriptor, let closeOnExec):
            let result = SystemCallListener.finish(
                tree.listener, notification.id, descriptor: descriptor, closeOnExec: closeOnExec)
            // EMFILE is the caller's own limit.
            if result != 0 {
                _ = SystemCallListener.finish(tree.listener, notification.id, result: Int(result))
            }
            RawDescriptor.close(descriptor)
        }
        judge.publish()
        return true
    }

    // MARK: - Waiting

    private mutating func wait(_ slot: Int, _ tree: TreeTable.Tree) {
        let used = waiting.map(\.held)
        let free = (firstHeld + 1..<firstHeld + StatusBoard.heldCallsPerThread).first { !used.contains($0) }
        guard let free else {
            _ = SystemCallListener.finish(tree.listener, notification.id, result: -Int(EAGAIN))
            return
        }
        trees.retain(slot)
        board.hold(free, tree: tree.number, call: notification.id, since: StatusBoard.withoutDeadline)
        waiting.append(WaitingCall(slot: slot, notification: notification, held: free))
    }

    private mutating func retry() {
        for index in stride(from: waiting.count - 1, through: 0, by: -1) {
            let call = waiting[index]
            var isDone = true
            if let tree = trees.enter(call.slot) {
                notification = call.notification
                if SystemCallListener.isWaiting(tree.listener, notification.id) { isDone = decide(tree) }
                trees.leave(call.slot)
            }
            guard isDone else { continue }
            board.letGo(call.held)
            trees.leave(call.slot)
            waiting.remove(at: index)
        }
    }
}
