import FileEnforcement
import Glibc
import LinuxKernel

/// Calls that are put aside because they would keep the thread on duty, and tried again.
extension CallLoop {
    /// What the kernel makes of a call that a signal ended: done again or EINTR, as the signal's handler wants it (`ERESTARTSYS`,
    /// linux/errno.h). Programs never see it.
    private static let restart = 512
    /// Nanoseconds after which calls that are tried again have to wait for new ones.
    private static let retrySpan: UInt64 = 2_000_000

    /// Puts the call at hand aside.
    mutating func hold(_ slot: Int, _ tree: TreeTable.Tree, _ wait: SocketWait?) {
        guard let held = waiting.reserve(for: slot) else {
            board.count(.callsExhausted)
            if let wait { RawDescriptor.close(wait.socket) }
            unanswered.finish(notification, nil)
            _ = SystemCallListener.finish(tree.listener, notification.id, result: -Int(EAGAIN))
            return
        }
        trees.retain(slot)
        board.hold(held, tree: tree.number, call: notification.id, since: StatusBoard.withoutDeadline)
        var call = WaitingCalls.Call(slot: slot, notification: notification, held: held, wait: wait)
        call.next = KernelClock.monotonic &+ call.pause
        putBack(call)
        // Another thread can be on duty by now, and wait without end.
        if !duty.isOnDuty(thread) { trees.wake() }
    }

    private func putBack(_ call: WaitingCalls.Call) {
        var call = call
        // In line first: what happens meanwhile must find it.
        if let wait = call.wait, !wait.isSilent, call.vainWakes < WaitingCalls.vainWakeLimit {
            waiting.append(call)
            guard trees.watch(wait.socket, held: call.held, forRoom: wait.forRoom) == 0 else { return }
        } else {
            call.pause = WaitingCalls.pause
            waiting.append(call)
        }
    }

    /// Something happened to the socket that a call waits for.
    mutating func wake(_ held: Int) {
        // Another thread looks at it.
        guard var call = waiting.take(held: held), let wait = call.wait else { return }
        trees.unwatch(wait.socket)
        call.vainWakes += 1
        tryAgain(call)
    }

    /// Looks at the calls whose time has come, as long as that keeps nobody else waiting: each can take its time (`WaitLimit`).
    mutating func retry() {
        let end = KernelClock.monotonic &+ Self.retrySpan
        for _ in 0..<16 {
            let now = KernelClock.monotonic
            guard now < end, var call = waiting.takeDue(now) else { return }
            guard let wait = call.wait else {
                tryAgain(call)
                continue
            }
            trees.unwatch(wait.socket)
            if isOver(call, wait) { continue }
            guard call.vainWakes < WaitingCalls.vainWakeLimit, !wait.isSilent else {
                tryAgain(call)
                continue
            }
            call.pause = min(call.pause * 2, WaitingCalls.longestPause)
            call.next = KernelClock.monotonic &+ call.pause
            putBack(call)
        }
    }

    private mutating func tryAgain(_ call: WaitingCalls.Call) {
        guard let tree = trees.enter(call.slot) else { return end(call, call.wait) }
        notification = call.notification
        guard SystemCallListener.isWaiting(tree.listener, notification.id) else {
            unanswered.finish(notification, nil)
            trees.leave(call.slot)
            return end(call, call.wait)
        }
        board.hold(thread, tree: tree.number, call: notification.id, since: KernelClock.monotonic)
        duty.begin(thread)
        let decision = decide(tree, call.wait)
        duty.end(thread)
        board.letGo(thread)
        trees.leave(call.slot)
        guard case .waits(let wait) = decision else { return end(call, call.wait) }
        var next = call
        // Something was done: it may be woken again.
        if let wait, let before = call.wait, wait.done != before.done || wait.doneOfMessage != before.doneOfMessage {
            next.vainWakes = 0
        }
        next.wait = wait ?? call.wait
        next.next = KernelClock.monotonic &+ WaitingCalls.pause
        putBack(next)
        if !duty.isOnDuty(thread) { trees.wake() }
    }

    /// Ends a call whose thread is gone, has a signal to handle, or whose time is over; false when it goes on waiting.
    private mutating func isOver(_ call: WaitingCalls.Call, _ wait: SocketWait) -> Bool {
        guard let tree = trees.enter(call.slot) else {
            end(call, wait)
            return true
        }
        defer { trees.leave(call.slot) }
        let id = call.notification.id
        let signals = canComeTwice(tree) ? ThreadSignals.Call.none : ThreadSignals(of: call.notification.thread).call
        guard SystemCallListener.isWaiting(tree.listener, id) else {
            unanswered.finish(call.notification, nil)
            end(call, wait)
            return true
        }
        var result: Int?
        switch signals {
        case .none: break
        case .restarts: result = wait.deadline == 0 ? -Self.restart : -Int(EINTR)
        // It may be another thread's: that one gets some time.
        case .mayInterrupt: if call.pause >= WaitingCalls.longestPause { result = -Int(EINTR) }
        }
        if result == nil, wait.deadline != 0, KernelClock.monotonic >= wait.deadline {
            result = -Int(wait.isConnecting ? EINPROGRESS : EAGAIN)
        }
        guard let result else { return false }
        let done = max(wait.done, wait.doneOfMessage)
        _ = SystemCallListener.finish(tree.listener, id, result: done > 0 ? done : result)
        unanswered.finish(call.notification, nil)
        end(call, wait)
        return true
    }

    private func end(_ call: WaitingCalls.Call, _ wait: SocketWait?) {
        if let wait { RawDescriptor.close(wait.socket) }
        board.letGo(call.held)
        waiting.release(call.held, of: call.slot)
        trees.leave(call.slot)
    }
}
