import Glibc

/// What a thread is doing according to /proc/<tid>/syscall.
public enum SystemCallState: Sendable {
    /// Blocked in a system call; the arguments are the registers, unchangeable while it is blocked.
    case blocked(number: Int64, arguments: InlineArray<6, UInt64>)
    /// Blocked outside a system call (a page fault).
    case outsideCall
    /// On a CPU.
    case running
    /// The file could not be read.
    case unavailable(errno: Int32)

    /// The state of the thread of a permission event. An event can be read before its thread has gone to sleep on it, and on a single CPU
    /// that is the rule: until it has, its registers cannot be read. So this asks again, giving the CPU away in between, and
    /// then sleeping a little, for some milliseconds at most. Allocates nothing.
    ///
    /// - Returns: `running` for a thread that does not go to sleep.
    public static func ofWaiting(tid: Int32) -> SystemCallState {
        let (yields, sleeps) = (64, 11)
        for attempt in 0..<yields + sleeps {
            let state = ProcFS.waitingSystemCall(of: tid)
            guard case .running = state else { return state }
            if attempt < yields {
                sched_yield()
            } else {
                // 10 µs, 20 µs … 20 ms in all.
                usleep(5 << UInt32(attempt - yields + 1))
            }
        }
        return .running
    }

    /// Parses the line; `unavailable` with EPROTO for anything unexpected.
    init(_ line: UnsafeRawBufferPointer) {
        var rest = line
        self = .unavailable(errno: 71)
        guard let first = ByteText.nextField(&rest) else { return }
        if ByteText.suffix(of: first, after: "running")?.isEmpty == true {
            self = .running
            return
        }
        guard let number = ByteText.signed(first) else { return }
        guard number >= 0 else {
            self = .outsideCall
            return
        }
        var arguments = InlineArray<6, UInt64>(repeating: 0)
        for index in arguments.indices {
            guard let field = ByteText.nextField(&rest), let value = ByteText.hexadecimal(field) else { return }
            arguments[index] = value
        }
        self = .blocked(number: number, arguments: arguments)
    }
}
