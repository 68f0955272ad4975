import LinuxKernel

extension PermissionDecider {
    /// Decides an event of the queue, whatever the kernel tells of it.
    ///
    /// - Parameters:
    ///   - process: whom the event names, the thread or, without `tellsThreads`, its process.
    ///   - features: what this kernel's events tell.
    ///   - marks: whose the event is of.
    ///   - state: the host's; afterwards the one that decided.
    package mutating func decideEvent(
        descriptor: Int32, mask: UInt64, process: Int32, features: EventFeatures, of marks: Marks,
        state: inout UnsafePointer<EnforcementState>
    ) -> PermissionDecision {
        let isRead = mask & FanotifyMask.accessPermission != 0
        guard features.tellsThreads, features.tellsExecutions || isRead else {
            return decideUntold(descriptor, mask, process, features, marks, &state)
        }
        return decide(
            descriptor: descriptor, thread: process, isExec: mask & FanotifyMask.openExecPermission != 0,
            access: isRead ? .read : .open, of: marks, state: &state)
    }

    /// Where the kernel does not tell executions from opens, or threads from each other, the calls tell that the threads wait in. When
    /// several may be the one, each of the answers has to allow it: a program may be executed, a file written.
    private mutating func decideUntold(
        _ descriptor: Int32, _ mask: UInt64, _ process: Int32, _ features: EventFeatures,
        _ marks: Marks, _ state: inout UnsafePointer<EnforcementState>
    ) -> PermissionDecision {
        var (thread, call) = (process, SystemCallState.running)
        if features.tellsThreads {
            call = SystemCallState.ofWaiting(tid: process)
        } else if case .found(let tid, let found) = WaitingThread.of(process: process) {
            (thread, call) = (tid, found)
        }
        facts.presetCall = call
        defer { facts.presetCall = nil }
        if mask & FanotifyMask.accessPermission != 0 {
            return decide(
                descriptor: descriptor, thread: thread, isExec: false, access: .read, of: marks, state: &state)
        }
        var isExec = mask & FanotifyMask.openExecPermission != 0
        if !features.tellsExecutions {
            if case .blocked = call {
                isExec = OpenIntent.of(call, tid: thread).isExecution
            } else {
                // Only what has the permission to be executed can be.
                var object = ObjectStatus()
                isExec =
                    ObjectStatus.read(descriptor: descriptor, into: &object) != 0
                    || object.isRegularFile && object.mode & 0o111 != 0
            }
        }
        let host = state
        var decision = decide(
            descriptor: descriptor, thread: thread, isExec: isExec, access: .open, of: marks, state: &state)
        if isExec, !features.tellsExecutions, decision.allow {
            // An execution opens the program too, which a newer kernel asks about separately.
            state = host
            let opening = decide(
                descriptor: descriptor, thread: thread, isExec: false, access: .open, of: marks, state: &state)
            if !opening.allow || decision.effect == .allow {
                decision = opening
            } else {
                // What is reported is the execution.
                state = host
                decision = decide(
                    descriptor: descriptor, thread: thread, isExec: true, access: .open, of: marks, state: &state)
            }
        }
        // An object whose opens are not asked about again would be executed without being asked about.
        if !features.tellsExecutions, state.pointee.hasProcessRules || state.pointee.listsProcesses {
            decision.cacheable = false
        }
        return decision
    }
}
