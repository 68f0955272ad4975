import CLinux

/// prctl(2) and other settings of the calling process.
public enum ProcessControl {
    /// PR_SET_DUMPABLE: off = no core dumps, no tracing by the same user, /proc/<pid> owned by root.
    public static func setDumpable(_ on: Bool) throws(KernelError) {
        try KernelError.check("prctl(PR_SET_DUMPABLE)", pc_set_dumpable(on ? 1 : 0))
    }

    /// Reaps a child that has ended; one that has not stays.
    public static func reap(_ child: Int32) {
        var end = pc_exit()
        _ = pc_wait(0, child, 0, &end)
    }

    /// PR_GET_DUMPABLE: whether core dumps and tracing by the same user are possible.
    public static var isDumpable: Bool { pc_get_dumpable() == 1 }

    /// PR_SET_NO_NEW_PRIVS, for the calling thread and what it starts.
    public static func setNoNewPrivileges() throws(KernelError) {
        try KernelError.check("prctl(PR_SET_NO_NEW_PRIVS)", pc_set_no_new_privileges())
    }

    /// PR_GET_NO_NEW_PRIVS.
    public static var hasNoNewPrivileges: Bool { pc_get_no_new_privileges() == 1 }

    /// PR_SET_PDEATHSIG: sent when the thread that started this process ends; 0 for none.
    public static func setParentDeathSignal(_ signal: Int32) throws(KernelError) {
        try KernelError.check("prctl(PR_SET_PDEATHSIG)", pc_set_parent_death_signal(signal))
    }

    /// PR_SET_CHILD_SUBREAPER: orphaned descendants become children of this process.
    public static func setChildSubreaper(_ on: Bool) throws(KernelError) {
        try KernelError.check("prctl(PR_SET_CHILD_SUBREAPER)", pc_set_child_subreaper(on ? 1 : 0))
    }

    /// mlockall(2) of what is mapped and, if asked, what will be. `onFault` locks pages when they are first used.
    /// ENOMEM: above RLIMIT_MEMLOCK without CAP_IPC_LOCK.
    public static func lockMemory(future: Bool, onFault: Bool) throws(KernelError) {
        try KernelError.check("mlockall", pc_lock_memory(1 | (future ? 2 : 0) | (onFault ? 4 : 0)))
    }

    /// umask(2): returns the old mask.
    @discardableResult
    public static func setFileCreationMask(_ mask: UInt32) -> UInt32 { UInt32(pc_set_umask(mask)) }
}
