import CLinux

/// pidfds: a process that cannot turn into another one.
public enum ProcessDescriptor {
    /// pidfd_open(2), Linux 5.3; ENOSYS before, ESRCH if the process is gone. Check what the pid was taken from again
    /// afterwards: until here it may have been reused.
    public static func open(_ pid: Int32) throws(KernelError) -> Descriptor {
        Descriptor(owning: try KernelError.check("pidfd_open", pc_pidfd_open(pid, 0)))
    }

    /// pidfd_send_signal(2), Linux 5.1. Signal 0 only asks whether the process is there. 0 or a negated errno.
    public static func sendSignal(_ signal: Int32, to descriptor: Int32) -> Int32 {
        pc_pidfd_send_signal(descriptor, signal)
    }

    /// waitid(2) with P_PIDFD, Linux 5.4: reaps a child. nil if it still runs (without `block`). ECHILD if it is not
    /// a child.
    public static func wait(_ descriptor: Int32, block: Bool) throws(KernelError) -> ProcessEnd? {
        var raw = pc_exit()
        let result = try KernelError.check("waitid(P_PIDFD)", pc_wait(1, descriptor, block ? 1 : 0, &raw))
        return result == 0 ? nil : ProcessEnd(raw)
    }

    /// pidfd_getfd(2), Linux 5.6: a copy of another process's descriptor.
    public static func copyDescriptor(_ number: Int32, of descriptor: Int32) throws(KernelError) -> Descriptor {
        Descriptor(owning: try KernelError.check("pidfd_getfd", pc_pidfd_getfd(descriptor, number)))
    }
}
