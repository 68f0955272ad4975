import FileEnforcement
import Glibc
import LinuxKernel
import PolicyEngine

/// The call thread's loop: takes notifications of all supervised trees, decides, answers, then reports. One instance, one
/// thread, no allocation after the first notification of a tree.
package struct CallLoop {
    private let trees: TreeTable
    private let cell: StateCell
    private let board: StatusBoard
    private let reporter: PermissionReporter
    private var facts = PermissionFacts()
    private var present: [TreeTable.Tree] = []
    private let polled = UnsafeMutablePointer<pollfd>.allocate(capacity: TreeTable.capacity + 1)
    private var notification = SystemCallNotification()
    /// Denied calls of supervised trees give what KubeArmor's LSM hooks give.
    private static let denial = -Int(EACCES)

    /// - Parameter cell: the state that decides; nobody else reads it.
    package init(trees: TreeTable, cell: StateCell, board: StatusBoard, reporter: PermissionReporter) {
        self.trees = trees
        self.cell = cell
        self.board = board
        self.reporter = reporter
    }

    /// Runs for ever. Needs a dedicated thread.
    package mutating func run() {
        while true {
            polled[0] = pollfd(fd: trees.wake, events: Int16(POLLIN), revents: 0)
            for (index, tree) in present.enumerated() {
                polled[index + 1] = pollfd(fd: tree.listener, events: Int16(POLLIN), revents: 0)
            }
            guard poll(polled, nfds_t(present.count + 1), -1) > 0 else { continue }
            // From the end, so that a tree that ends does not move those still to be looked at.
            for index in stride(from: present.count - 1, through: 0, by: -1) {
                let events = Int32(polled[index + 1].revents)
                if events & POLLIN != 0 { serve(present[index]) } else if events != 0 { end(at: index) }
            }
            if polled[0].revents != 0 {
                EventDescriptor.drain(trees.wake)
                present += trees.takeAdded()
                board.set(.supervisedTrees, UInt64(present.count))
            }
        }
    }

    private mutating func end(at index: Int) {
        trees.end(present.remove(at: index))
        board.set(.supervisedTrees, UInt64(present.count))
    }

    private mutating func serve(_ tree: TreeTable.Tree) {
        // Before it is taken: should we die in between, the guardian knows where to look.
        board.set(.heldCallTree, tree.number)
        board.set(.heldCall, 0)
        board.set(.heldCallSince, KernelClock.monotonic)
        // A thread that was killed meanwhile is no longer there to be asked about.
        guard SystemCallListener.receive(tree.listener, into: &notification) == 0 else {
            return board.set(.heldCallSince, 0)
        }
        board.setLastCall(notification.id, of: tree.number)
        board.set(.heldCall, notification.id)
        board.add(.calls)
        let state = cell.enter()
        answer(tree, state)
        cell.leave()
        board.set(.heldCallSince, 0)
    }

    private mutating func answer(_ tree: TreeTable.Tree, _ state: UnsafePointer<EnforcementState>?) {
        guard let state else {
            return conclude(tree, .failed(.snapshotMissing, .syscall, .failClosed), .failureTable, nil)
        }
        facts.begin(thread: notification.thread, isExec: false)
        switch CallKind(notification.architecture, notification.number) {
        case .socket:
            let call = SocketCall(notification)
            let decision = call.decide(&facts, state)
            call.withResource { capture(decision, $0, state) }
            conclude(tree, decision, .socketRegisters, state)
        case .unknown:
            let decision = PermissionDecision.failed(.unknownCall, .syscall, state.pointee.failures)
            capture(decision, UnsafeRawBufferPointer(start: nil, count: 0), state)
            conclude(tree, decision, .failureTable, state)
        }
    }

    /// Keeps what the alert says while the thread still waits.
    private mutating func capture(
        _ decision: PermissionDecision, _ resource: UnsafeRawBufferPointer, _ state: UnsafePointer<EnforcementState>
    ) {
        guard decision.effect != .allow else { return }
        reporter.capture(
            decision, facts: &facts, mechanism: .seccomp, call: .init(number: notification.number), resource: resource,
            alias: UnsafeRawBufferPointer(start: nil, count: 0), state: state)
    }

    /// Answers a call that was decided on registers alone, and then tells of it.
    private func conclude(
        _ tree: TreeTable.Tree, _ decision: PermissionDecision, _ proof: RegisterProof,
        _ state: UnsafePointer<EnforcementState>?
    ) {
        let id = notification.id
        // What was found out is about the thread that waits only if it still does: its number may be another's by now.
        guard SystemCallListener.isWaiting(tree.listener, id) else { return }
        _ =
            decision.allow
            ? SystemCallListener.proceed(tree.listener, id, because: proof)
            : SystemCallListener.finish(tree.listener, id, result: Self.denial)
        if let row = decision.failure { board.count(row) }
        board.add(!decision.allow ? .blocked : decision.effect == .allow ? .allowed : .audited)
        if state != nil, decision.effect != .allow { reporter.publish(board) }
    }
}
