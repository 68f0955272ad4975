import CLinux

/// A child process that this process started: reaped by `wait` or `poll`; not killed when its owner goes.
public struct ChildProcess: ~Copyable, Sendable {
    /// The process id. Not reused until the child is reaped.
    public let pid: Int32
    /// Readable when the child ends: a pidfd, before Linux 5.3 the end of a pipe. Owned by this value.
    public let pidDescriptor: Int32

    init(pid: Int32, pidDescriptor: Int32) {
        self.pid = pid
        self.pidDescriptor = pidDescriptor
    }

    deinit { if pidDescriptor >= 0 { _ = pc_close(pidDescriptor) } }

    /// Waits for the end and reaps.
    public borrowing func wait() throws(KernelError) -> ProcessEnd {
        var raw = pc_exit()
        try KernelError.check("waitid", pc_wait(0, pid, 1, &raw))
        return ProcessEnd(raw)
    }

    /// Reaps if it has ended; nil while it runs.
    public borrowing func poll() throws(KernelError) -> ProcessEnd? {
        var raw = pc_exit()
        let result = try KernelError.check("waitid", pc_wait(0, pid, 0, &raw))
        return result == 0 ? nil : ProcessEnd(raw)
    }

    /// Sends a signal.
    public borrowing func signal(_ number: Int32) throws(KernelError) {
        // By number: a child that was not reaped keeps it.
        try KernelError.check("kill", pc_kill(pid, number))
    }
}
