import ControlProtocol
import FileEnforcement
import Glibc
import LinuxKernel

/// Entry into `portcullis-core`: guardian and worker. It parses neither options nor files; `portcullisd`, which does, becomes it.
public enum CoreProgram {
    /// Runs the role that the arguments name. Returns the exit code.
    public static func run(_ arguments: [String]) -> Int32 {
        if arguments == ["--version"] {
            let text = Array("\(ReleaseVersion.text)\n".utf8)
            return text.withUnsafeBytes { RawDescriptor.write(1, $0) } == text.count ? 0 : 1
        }
        guard arguments.count >= 2, arguments[0] == "--role", let role = AgentRole(rawValue: arguments[1]),
            role != .front
        else { return refuse() }
        let rest = Array(arguments.dropFirst(2))
        guard role == .guardian else {
            return RoleStart.run(role) { settings throws(KernelError) in
                var settings = settings
                // Permission events are for who has them of the machine.
                if role == .visitor { settings.usesEvents = false }
                return try runWorker(settings, rest, isVisitor: role == .visitor)
            }
        }
        guard let passed = GuardianDescriptors(rest) else { return refuse() }
        return RoleStart.run(role, settings: passed.settings) { settings in runGuardian(settings, passed) }
    }

    private static func refuse() -> Int32 {
        FileHandleText.writeError("portcullis-core: is started by portcullisd, and does nothing by itself")
        return 2
    }

    private static func runWorker(
        _ settings: AgentSettings, _ arguments: [String], isVisitor: Bool
    ) throws(KernelError) -> Int32 {
        let limit = min(UInt64(WorkerLimits.descriptors), try ResourceLimit.openFiles.current().hard)
        try ResourceLimit.openFiles.set(ResourceLimit.Values(soft: limit, hard: limit))
        let worker = try Worker(
            settings: settings, retiring: arguments.first.flatMap { Int($0) } ?? 0,
            incarnation: arguments.dropFirst(2).first.flatMap { UInt64($0) } ?? 0, isVisitor: isVisitor)
        return worker.run(hasSnapshot: arguments.dropFirst().first == "1")
    }

    /// Starts the agent and runs until it ends. Everything that can be wrong is found before a process is started.
    private static func runGuardian(_ settings: AgentSettings, _ passed: GuardianDescriptors) -> Int32 {
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
            return try Guardian(settings: settings, passed: passed).run()
        } catch {
            FileHandleText.writeError("portcullisd: \(error)")
            AgentFiles.removeRunFiles(settings)
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
