/// The thread of a permission event that names the process only (before Linux 4.20).
public enum WaitingThread: Sendable {
    /// One thread of the process waits in a call that opens or executes something: it.
    case found(tid: Int32, call: SystemCallState)
    /// None, or several: which one waits for this answer nobody can tell.
    case ambiguous(mayExecute: Bool)

    /// Looks at every thread of a process. Allocates nothing.
    public static func of(process: Int32) -> WaitingThread {
        var candidate: (tid: Int32, call: SystemCallState)?
        var count = 0
        var mayExecute = false
        _ = ProcFS.forEachThread(of: process) { tid in
            let call = SystemCallState.ofWaiting(tid: tid)
            guard case .blocked = call else { return }
            let intent = OpenIntent.of(call, tid: tid)
            guard intent != .unknown else { return }
            count += 1
            candidate = (tid, call)
            if intent.isExecution { mayExecute = true }
        }
        guard count == 1, let candidate else { return .ambiguous(mayExecute: mayExecute) }
        return .found(tid: candidate.tid, call: candidate.call)
    }
}
