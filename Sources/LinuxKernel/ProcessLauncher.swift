import CLinux

/// Starting programs with changed credentials and passed descriptors.
public enum ProcessLauncher {
    /// What the child does between clone and exec.
    public struct Settings: Sendable {
        /// Real, effective and saved user id; groups are emptied too. Needs `gid`.
        public var uid: UInt32?
        /// Real, effective and saved group id. Needs `uid`.
        public var gid: UInt32?
        /// What stays permitted, effective, inheritable and ambient after exec, also for uid 0 (SECBIT_NOROOT is
        /// locked); nil leaves exec's usual rules alone.
        public var keepCapabilities: CapabilitySet?
        /// What stays in the bounding set; nil for no change.
        public var boundingSet: CapabilitySet?
        /// no_new_privs.
        public var noNewPrivileges = false
        /// Sent to the child when the *thread* that spawned it ends.
        public var deathSignal: Int32?
        /// setsid(2).
        public var newSession = false

        /// No change.
        public init() {}
    }

    /// One passed descriptor.
    public struct PassedDescriptor: Sendable {
        /// The number here.
        public var parent: Int32
        /// The number in the child.
        public var child: Int32
        /// `parent` becomes `child`.
        public init(parent: Int32, child: Int32) {
            self.parent = parent
            self.child = child
        }
    }

    /// Starts `executable`, or an open program, and returns when it has been executed. Descriptors 0 to 2 are inherited unless mapped, the
    /// mapped ones (at most 32) get their numbers, all others are closed. Signal dispositions and mask are reset.
    /// Throws the step that failed; no child is left then.
    public static func spawn(
        executable: String = "/proc/self/exe", program: Int32 = -1, arguments: [String],
        environment: [String] = [],
        descriptorMap: [PassedDescriptor] = [], settings: Settings = Settings()
    ) throws(KernelError) -> ChildProcess {
        guard (settings.uid == nil) == (settings.gid == nil) else { throw KernelError("spawn", errno: 22) }
        let argumentBlock = CStringArray(arguments)
        let environmentBlock = CStringArray(environment)
        let name = CStringArray([executable])
        guard let path = name.pointers.first, let path else { throw KernelError("spawn", errno: 22) }
        let sources = descriptorMap.map(\.parent)
        let targets = descriptorMap.map(\.child)
        var pid: Int32 = 0
        var pidDescriptor: Int32 = -1
        var step: Int32 = 0
        let result = withExtendedLifetime((argumentBlock, environmentBlock, name)) { () -> Int32 in
            argumentBlock.pointers.withUnsafeBufferPointer { argv in
                environmentBlock.pointers.withUnsafeBufferPointer { envp in
                    sources.withUnsafeBufferPointer { source in
                        targets.withUnsafeBufferPointer { target in
                            guard let argv = argv.baseAddress, let envp = envp.baseAddress else { return -22 }
                            // An empty array may have no address; the count of 0 keeps the pointer from being read.
                            var none: Int32 = 0
                            return withUnsafePointer(to: &none) { none in
                                var request = pc_spawn(
                                    path: path, program: program, arguments: argv, environment: envp,
                                    source: source.baseAddress ?? none,
                                    target: target.baseAddress ?? none, descriptor_count: UInt32(source.count),
                                    flags: flags(of: settings), uid: settings.uid ?? 0, gid: settings.gid ?? 0,
                                    capabilities: settings.keepCapabilities?.rawValue ?? 0,
                                    bounding: settings.boundingSet?.rawValue ?? 0,
                                    death_signal: settings.deathSignal ?? 0)
                                return pc_spawn(&request, &pid, &pidDescriptor, &step)
                            }
                        }
                    }
                }
            }
        }
        guard result == 0 else { throw KernelError(Self.name(ofStep: step), errno: -result) }
        return ChildProcess(pid: pid, pidDescriptor: pidDescriptor)
    }

    private static func flags(of settings: Settings) -> UInt32 {
        var flags = 0
        if settings.uid != nil { flags |= PC_SPAWN_SET_IDS }
        if settings.keepCapabilities != nil { flags |= PC_SPAWN_SET_CAPABILITIES }
        if settings.boundingSet != nil { flags |= PC_SPAWN_SET_BOUNDING }
        if settings.noNewPrivileges { flags |= PC_SPAWN_NO_NEW_PRIVILEGES }
        if settings.newSession { flags |= PC_SPAWN_NEW_SESSION }
        return UInt32(flags)
    }

    private static func name(ofStep step: Int32) -> StaticString {
        switch pc_spawn_step(rawValue: UInt32(step)) {
        case PC_STEP_SESSION: "setsid"
        case PC_STEP_BOUNDING: "prctl(PR_CAPBSET_DROP)"
        case PC_STEP_GROUPS: "setgroups"
        case PC_STEP_IDS: "setresuid"
        case PC_STEP_CAPABILITIES: "capset"
        case PC_STEP_AMBIENT: "prctl(PR_CAP_AMBIENT_RAISE)"
        case PC_STEP_DEATH_SIGNAL: "prctl(PR_SET_PDEATHSIG)"
        case PC_STEP_NO_NEW_PRIVILEGES: "prctl(PR_SET_NO_NEW_PRIVS)"
        case PC_STEP_DESCRIPTORS: "dup3"
        case PC_STEP_EXEC: "execve"
        default: "clone"
        }
    }
}
