import Glibc
import LinuxKernel

/// What each role may do. Set when it is started, and checked by the role itself before it does anything.
enum RolePrivileges {
    /// Marks and answers (CAP_SYS_ADMIN), looks into other processes (SYS_PTRACE), resolves and marks what others own
    /// (DAC_READ_SEARCH, DAC_OVERRIDE for fanotify's own check), ends a process with a stale descriptor (KILL).
    static let worker: CapabilitySet = [.sysAdmin, .sysPtrace, .dacReadSearch, .dacOverride, .kill]

    /// What the guardian keeps: it starts roles under other identities, opens files for the front, replaces a worker.
    static let guardian: CapabilitySet = worker.union([
        .setuid, .setgid, .setpcap, .chown, .fowner,
    ])

    static func settings(of role: AgentRole, _ settings: AgentSettings) -> ProcessLauncher.Settings {
        var result = ProcessLauncher.Settings()
        result.noNewPrivileges = true
        switch role {
        case .guardian: break
        case .worker:
            result.keepCapabilities = worker
            result.boundingSet = worker
        case .front:
            result.uid = settings.frontUser
            result.gid = settings.frontGroup
            result.keepCapabilities = []
            result.boundingSet = []
        }
        return result
    }

    /// Gives up what the guardian does not need.
    static func dropGuardian() throws(KernelError) {
        let have = try Capabilities.current()
        let keep = guardian.intersection(have.permitted)
        try Capabilities.limitBounding(to: keep)
        try Capabilities.apply(permitted: keep, effective: keep, inheritable: [])
        try Capabilities.verify(keep, bounding: keep)
    }

    /// Checks that a role has exactly what it should, from /proc/self/status. Anything else ends it.
    static func verify(_ role: AgentRole) throws(KernelError) {
        switch role {
        case .guardian: break
        case .worker: try Capabilities.verify(worker, bounding: worker)
        case .front:
            try Capabilities.verify([], bounding: [])
            guard ProcessControl.hasNoNewPrivileges else { throw KernelError("verify no_new_privs", errno: EPERM) }
            guard getuid() != 0, geteuid() != 0 else { throw KernelError("verify user id", errno: EPERM) }
        }
        try ProcessControl.setDumpable(false)
    }
}
