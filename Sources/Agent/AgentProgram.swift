import FileEnforcement
import Glibc
import LinuxKernel

/// Entry into `portcullisd`: as the guardian, from settings, or as one of the roles it starts.
public enum AgentProgram {
    /// Starts the agent and runs until it ends. Everything that can be wrong is found before a process is started.
    ///
    /// - Returns: the exit code.
    public static func runGuardian(_ settings: AgentSettings) -> Int32 {
        do {
            if !settings.isRootless { try checkCapabilities() }
            if settings.usesEvents { try checkEvents() } else { try checkListeners(settings) }
            try checkPolicyPaths(settings)
        } catch {
            FileHandleText.writeError("portcullisd: \(error)")
            return 1
        }
        switch AgentFiles.prepare(settings) {
        case .failure(let error):
            FileHandleText.writeError("portcullisd: \(error)")
            return 1
        case .success:
            // The lock is held until the process ends.
            break
        }
        do {
            signal(SIGPIPE, SIG_IGN)
            return try Guardian(settings: settings).run()
        } catch {
            FileHandleText.writeError("portcullisd: \(error)")
            AgentFiles.removeRunFiles(settings)
            return 1
        }
    }

    /// Runs a role in a process that the guardian started.
    ///
    /// - Parameter arguments: what follows the role's name on the command line.
    public static func runRole(_ role: AgentRole, _ arguments: [String]) -> Int32 {
        signal(SIGPIPE, SIG_IGN)
        guard let bytes = SealedRegion.contents(of: RoleDescriptor.settings),
            let settings = AgentSettings(encoded: bytes)
        else {
            FileHandleText.writeError("portcullisd: --role is for the agent itself")
            return 2
        }
        do {
            // Executed by /proc/self/exe, of which ps(1) would show the last part.
            KernelThread.setCurrentName("portcullis-\(role.rawValue.prefix(4))")
            try ProcFS.prepare()
            // Signals of a terminal are for the guardian, which ends its roles in order.
            try SignalDescriptor.block([SIGINT, SIGTERM, SIGHUP])
            try RolePrivileges.verify(role, settings)
            switch role {
            case .guardian: return 2
            case .worker:
                let limit = min(UInt64(WorkerLimits.descriptors), try ResourceLimit.openFiles.current().hard)
                try ResourceLimit.openFiles.set(ResourceLimit.Values(soft: limit, hard: limit))
                let worker = try Worker(
                    settings: settings, retiring: arguments.first.flatMap { Int($0) } ?? 0,
                    incarnation: arguments.dropFirst(2).first.flatMap { UInt64($0) } ?? 0)
                return worker.run(hasSnapshot: arguments.dropFirst().first == "1")
            case .front:
                let front = try Front(
                    settings: settings, hasAlertsFile: arguments.first == "1",
                    replaces: arguments.dropFirst().first == "1")
                try SelfFilter.install(refusal: .permissionDenied, denying: [.execution, .fanotify, .nonUnixSockets])
                return front.run()
            }
        } catch {
            FileHandleText.writeError("portcullisd: \(role.rawValue): \(error)")
            return 1
        }
    }

    private static func checkCapabilities() throws(AgentStartError) {
        let capabilities: Capabilities
        do { capabilities = try Capabilities.current() } catch { throw .missingFeature("/proc", "\(error)") }
        for (needed, name) in [
            (CapabilitySet.sysAdmin, "CAP_SYS_ADMIN"), (.sysPtrace, "CAP_SYS_PTRACE"),
            (.dacReadSearch, "CAP_DAC_READ_SEARCH"), (.dacOverride, "CAP_DAC_OVERRIDE"), (.kill, "CAP_KILL"),
            (.setuid, "CAP_SETUID"), (.setgid, "CAP_SETGID"), (.setpcap, "CAP_SETPCAP"), (.chown, "CAP_CHOWN"),
        ] where !capabilities.effective.contains(needed) { throw .missingCapability(name) }
    }

    private static func checkEvents() throws(AgentStartError) {
        do { try FileEnforcer.makeGroup().close() } catch {
            throw .missingFeature("fanotify permission events", "\(error); --calls-only does without")
        }
    }

    /// What an agent without events rests on.
    private static func checkListeners(_ settings: AgentSettings) throws(AgentStartError) {
        guard SystemCallListener.isSupported else {
            throw .missingFeature("seccomp user notification", "Linux 5.9 or newer is needed without fanotify")
        }
        if settings.isRootless, (try? KernelSetting.number("kernel/yama/ptrace_scope")) ?? 0 != 0 {
            throw .missingFeature(
                "what compares an execution with its decision",
                "kernel.yama.ptrace_scope is not 0, so that programs of one user may not trace each other")
        }
    }

    private static func checkPolicyPaths(_ settings: AgentSettings) throws(AgentStartError) {
        for path in settings.policyPaths {
            var status = stat()
            guard stat(path, &status) == 0 else { throw .policyPath(path, String(cString: strerror(errno))) }
            let isFolder = status.st_mode & S_IFMT == S_IFDIR
            guard isFolder || status.st_mode & S_IFMT == S_IFREG else {
                throw .policyPath(path, "neither a folder nor a regular file")
            }
            guard access(path, isFolder ? R_OK | X_OK : R_OK) == 0 else {
                throw .policyPath(path, String(cString: strerror(errno)))
            }
        }
    }
}
