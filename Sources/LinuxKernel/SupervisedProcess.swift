import CLinux

/// A process that becomes a supervised program, once somebody has taken its listener over. It is the caller itself, so that whoever
/// started it (a shell, systemd) has the program as its own child, with its signals and its end.
public enum SupervisedProcess {
    /// What the program runs under.
    public struct Programs: Sendable {
        /// `struct sock_filter` values of the program that is installed first.
        public var guardProgram: [UInt8]
        /// The same of the program with the listener.
        public var treeProgram: [UInt8]

        /// Creates the pair.
        public init(guardProgram: [UInt8], treeProgram: [UInt8]) {
            self.guardProgram = guardProgram
            self.treeProgram = treeProgram
        }
    }

    /// Which of the two processes the caller is after the split.
    public enum Role: ~Copyable {
        /// The one that becomes the program.
        case program(Gate)
        /// The one that speaks to the agent for it, and then ends.
        case speaker(Gate)
    }

    /// What the two are connected by. The program does not run if the speaker closes it without having opened it.
    public struct Gate: ~Copyable {
        fileprivate let descriptor: Descriptor

        /// In the speaker: waits until the program-to-be has its filter.
        ///
        /// - Parameter process: the program-to-be.
        /// - Returns: the listener's number in it.
        /// - Throws: what it failed with; EBUSY: it runs under a listener of somebody else's.
        public borrowing func awaitListener(of process: Int32) throws(KernelError) -> Int32 {
            var listener: Int32 = -1
            try KernelError.check("supervise", pc_supervise_await(descriptor.raw, process, &listener))
            return listener
        }

        /// In the speaker: lets the program run.
        public borrowing func open() {
            var go: UInt8 = 1
            _ = pc_write(descriptor.raw, &go, 1)
        }
    }

    /// Splits the speaker off, which is no child of the program-to-be. No other thread may run.
    public static func split() throws(KernelError) -> Role {
        var gate: Int32 = -1
        let isSpeaker = try KernelError.check("fork", pc_supervise_split(&gate)) == 1
        let end = Gate(descriptor: Descriptor(owning: gate))
        return isSpeaker ? .speaker(end) : .program(end)
    }

    /// Becomes the program; it keeps descriptors, environment, directory, signals that are ignored.
    ///
    /// - Parameters:
    ///   - executable: a path; arguments include the program's name.
    ///   - dropping: capabilities that leave every set for good.
    ///   - noNewPrivileges: needed without CAP_SYS_ADMIN.
    ///   - forbidsChanges: Landlock forbids it to change files itself (EOPNOTSUPP, ENOSYS: this kernel has none); needs CAP_SYS_ADMIN or
    ///     `noNewPrivileges`.
    ///   - ownHostName: it gets a UTS namespace, by which all its descendants can be told. Needs CAP_SYS_ADMIN.
    /// - Returns: the errno of the step that failed. A filter may be in place by then, and nobody who answers.
    public static func become(
        executable: String, arguments: [String], environment: [String], programs: Programs,
        dropping capabilities: CapabilitySet = [], noNewPrivileges: Bool, forbidsChanges: Bool = false,
        ownHostName: Bool, gate: consuming Gate
    ) -> Int32 {
        let path = CStringArray([executable])
        let (argv, envp) = (CStringArray(arguments), CStringArray(environment))
        guard let name = path.pointers.first, let name else { return 22 }
        let end = gate.descriptor.raw
        let result = withExtendedLifetime((path, argv, envp)) {
            argv.pointers.withUnsafeBufferPointer { argumentPointers in
                envp.pointers.withUnsafeBufferPointer { environmentPointers in
                    programs.guardProgram.withUnsafeBytes { guardBytes in
                        programs.treeProgram.withUnsafeBytes { treeBytes -> Int32 in
                            guard let argumentBase = argumentPointers.baseAddress,
                                let environmentBase = environmentPointers.baseAddress,
                                let guardBase = guardBytes.baseAddress, let treeBase = treeBytes.baseAddress
                            else { return -22 }
                            var request = pc_supervised(
                                path: name, arguments: argumentBase, environment: environmentBase, guard: guardBase,
                                tree: treeBase, guard_instructions: UInt32(guardBytes.count / 8),
                                tree_instructions: UInt32(treeBytes.count / 8),
                                no_new_privileges: noNewPrivileges ? 1 : 0,
                                own_host_name: ownHostName ? 1 : 0,
                                forbids_changes: forbidsChanges ? 1 : 0,
                                dropped_capabilities: capabilities.rawValue)
                            return pc_supervise_become(&request, end)
                        }
                    }
                }
            }
        }
        return -result
    }
}
