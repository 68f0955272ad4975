import CLinux

/// A child that waits under its filters until somebody takes its listener over, and then executes its program.
public struct SupervisedProcess: ~Copyable {
    /// Process id.
    public let pid: Int32
    /// The listener's number in the child.
    public let listener: Int32
    /// pidfd.
    public let descriptor: Descriptor
    private let gate: Descriptor

    /// What the child runs under.
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

    /// Starts the child; it has inherited descriptors, environment, directory, signals that are ignored.
    ///
    /// - Parameters:
    ///   - executable: a path; arguments include the program's name.
    ///   - dropping: capabilities that leave every set of the child for good.
    ///   - noNewPrivileges: needed without CAP_SYS_ADMIN.
    ///   - ownHostName: it gets a UTS namespace, by which all its descendants can be told. Needs CAP_SYS_ADMIN.
    /// - Throws: the step that failed; no child is left then. EBUSY: this process runs under a listener of somebody else's.
    public init(
        executable: String, arguments: [String], environment: [String], programs: Programs,
        dropping capabilities: CapabilitySet = [], noNewPrivileges: Bool, ownHostName: Bool = false
    ) throws(KernelError) {
        let path = CStringArray([executable])
        let (argv, envp) = (CStringArray(arguments), CStringArray(environment))
        guard let name = path.pointers.first, let name else { throw KernelError("supervise", errno: 22) }
        var (pid, pidfd, listener, gate): (Int32, Int32, Int32, Int32) = (0, -1, -1, -1)
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
                                dropped_capabilities: capabilities.rawValue)
                            return pc_supervise(&request, &pid, &pidfd, &listener, &gate)
                        }
                    }
                }
            }
        }
        try KernelError.check("supervise", result)
        self.pid = pid
        self.listener = listener
        descriptor = Descriptor(owning: pidfd)
        self.gate = Descriptor(owning: gate)
    }

    /// Lets it execute its program. Without this call the child ends with this value.
    ///
    /// - Throws: what execve(2) says; the child is then ending.
    /// - Returns: its pidfd.
    public consuming func release() throws(KernelError) -> Descriptor {
        let result = pc_supervise_release(gate.release())
        try KernelError.check("execve", result)
        return descriptor
    }
}
