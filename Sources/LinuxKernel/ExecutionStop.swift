import CLinux

/// Holds a thread that is about to execute a program at the point where the kernel has loaded the program and not yet run its first
/// instruction (ptrace(2), PTRACE_EVENT_EXEC): what is executed can be looked at there, and nobody can exchange it any more.
/// Everything happens on the calling thread, which holds one thread at a time.
public struct ExecutionStop: ~Copyable {
    private let thread: Int32

    /// Where the thread is.
    public enum Outcome: Sendable {
        /// It has a new program, and stands before its first instruction; its number is that of its process.
        case executed(process: Int32)
        /// The call failed, or the thread is no more. It goes on.
        case failed
    }

    /// Begins for a thread that is held in a system call. EPERM: somebody else traces it, or it may not be traced.
    ///
    /// - Returns: `nil` with the errno in `error`.
    public static func begin(_ thread: Int32, error: inout Int32) -> ExecutionStop? {
        error = -pc_trace_begin(thread)
        return error == 0 ? ExecutionStop(thread: thread) : nil
    }

    /// Waits until the thread, which was let go on meanwhile, has executed a program or come back from the call.
    public borrowing func wait() -> Outcome {
        // Whatever becomes of the call, it stops: behind a new program, or on its way out of the call.
        _ = pc_trace_interrupt(thread)
        var (number, signal): (Int32, Int32) = (0, 0)
        switch pc_trace_wait(&number, &signal) {
        case Int32(PC_TRACE_EXECUTED.rawValue): return .executed(process: number)
        case Int32(PC_TRACE_OTHER.rawValue): _ = pc_trace_end(number, signal)
        default: break
        }
        return .failed
    }

    /// Lets the new program run.
    public consuming func release(_ process: Int32) { _ = pc_trace_end(process, 0) }

    /// Kills the process before its first instruction.
    public consuming func kill(_ process: Int32) {
        _ = pc_kill(process, 9)
        _ = pc_trace_end(process, 0)
    }
}
