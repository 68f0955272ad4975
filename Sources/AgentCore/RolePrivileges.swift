import Glibc
import LinuxKernel

/// What each role may do. Set when it is started, and checked by the role itself before it does anything.
package enum RolePrivileges {
    /// Marks and answers (CAP_SYS_ADMIN), looks into other processes (SYS_PTRACE), resolves and marks what others own
    /// (DAC_READ_SEARCH, DAC_OVERRIDE for fanotify's own check), ends a process with a stale descriptor (KILL).
    static let worker: CapabilitySet = [.sysAdmin, .sysPtrace, .dacReadSearch, .dacOverride, .kill]

    /// What the worker has besides, where the machine has it: to put rules for packets in force.
    static let packets: CapabilitySet = [.netAdmin]

    /// What the worker's call threads may have to act in the name of supervised processes, as far as the machine has it: to take on their
    /// ids and root, and any right that such a process may have itself. procfs lets nobody look into a process that has one more. In effect
    /// only while they do that.
    static let standingIn = Capabilities.known

    /// What the guardian has in effect: it starts roles under other identities, opens files for the front, replaces a worker.
    static let guardian: CapabilitySet = worker.union([.setpcap, .setuid, .setgid])

    /// What a worker gets from a process that has `permitted`.
    static func worker(outOf permitted: CapabilitySet) -> CapabilitySet {
        worker.union(standingIn.intersection(permitted))
    }

    static func settings(of role: AgentRole, _ settings: AgentSettings) -> ProcessLauncher.Settings {
        var result = ProcessLauncher.Settings()
        result.noNewPrivileges = true
        // There is nothing to give up, and nobody else to be.
        if settings.isRootless { return result }
        switch role {
        // It has all of a namespace's, and no others.
        case .guardian, .visitor: break
        case .worker:
            let permitted = (try? Capabilities.current().permitted) ?? []
            result.keepCapabilities = worker(outOf: permitted)
            result.boundingSet = worker(outOf: permitted)
        case .front:
            result.uid = settings.frontUser
            result.gid = settings.frontGroup
            result.keepCapabilities = []
            result.boundingSet = []
        }
        return result
    }

    /// Gives up what the guardian does not need.
    static func dropGuardian(_ settings: AgentSettings) throws(KernelError) {
        if settings.isRootless { return }
        let have = try Capabilities.current()
        let keep = guardian.union(standingIn).intersection(have.permitted)
        let effective = guardian.intersection(keep)
        try Capabilities.limitBounding(to: keep)
        // The rest is only to be handed on.
        try Capabilities.apply(permitted: keep, effective: effective, inheritable: [])
        try Capabilities.verify(keep, effective: effective, bounding: keep)
    }

    /// Checks that a role has exactly what it should, from /proc/self/status. Anything else ends it.
    package static func verify(_ role: AgentRole, _ settings: AgentSettings) throws(KernelError) {
        switch role {
        case .worker where settings.isRootless: try Capabilities.verify([])
        case .front where settings.isRootless:
            try Capabilities.verify([])
            guard ProcessControl.hasNoNewPrivileges else { throw KernelError("verify no_new_privs", errno: EPERM) }
        case .guardian: break
        case .visitor:
            let all = try Capabilities.current().permitted
            try Capabilities.apply(
                permitted: all, effective: worker.union(packets).intersection(all), inheritable: [])
        case .worker:
            let all = worker(outOf: try Capabilities.current().permitted)
            try Capabilities.verify(all, bounding: all)
            try Capabilities.apply(
                permitted: all, effective: worker.union(packets.intersection(all)), inheritable: [])
        case .front:
            try Capabilities.verify([], bounding: [])
            guard ProcessControl.hasNoNewPrivileges else { throw KernelError("verify no_new_privs", errno: EPERM) }
            guard getuid() != 0, geteuid() != 0 else { throw KernelError("verify user id", errno: EPERM) }
        }
        try ProcessControl.setDumpable(false)
    }
}
