import LinuxKernel

/// The filter of a supervised tree, as a list of rules. What registers decide is decided here; what is left is notified.
///
/// Two programs come of it, and the kernel takes the stricter answer (seccomp(2)): the guard, which gives ENOSYS for calls
/// nobody has a name for, is installed first; then the tree's own, which has the listener.
public struct FilterPlan: Sendable, Equatable {
    /// Rules of the program with the listener; everything else goes on.
    public private(set) var rules: [FilterProgram.Rule] = []

    /// CLONE_FILES and CLONE_THREAD.
    static let (sharesFiles, isThread): (UInt64, UInt64) = (0x400, 0x10000)
    private static let permissionDenied = FilterProgram.Action.errno(1)
    private static let notImplemented = FilterProgram.Action.errno(38)

    /// The plan for what the rules want; without rules none is needed, and nothing is filtered.
    public init(_ needs: FilterNeeds) {
        guard !needs.isEmpty else { return }
        addWaysAround()
        addNamespaces()
        if needs.decidesOpens { addOpens() }
        if needs.files || needs.decidesOpens { addFileCalls(opens: !needs.decidesOpens) }
        if needs.listsPrograms { addNamelessPrograms() }
        if needs.anonymousMaps { addAnonymousMaps() }
        addSockets(needs.sockets)
        addCallsOnSockets(needs)
        if needs.guardsManagers { addMoves() }
        for (capability, rule) in CapabilityCalls.rules where needs.capabilities.contains(capability) { add(rule) }
        for (capability, names) in CapabilityCalls.ownIDs where needs.capabilities.contains(capability) {
            for name in names { add(FilterProgram.Rule(name, .notify, mayBeUnknown: true)) }
        }
        for name in needs.calls.sorted() { report(name) }
    }

    /// What fails in every tree, on which registers.
    static let forbidden: [(rule: FilterProgram.Rule, value: Int32)] = {
        var needs = FilterNeeds()
        needs.isWorkload = true
        return FilterPlan(needs).rules.compactMap { rule in
            guard case .errno(let code) = rule.action else { return nil }
            return (rule, code)
        }
    }()

    /// No program is needed.
    public var isEmpty: Bool { rules.isEmpty }

    /// Both programs.
    public func programs() throws(KernelError) -> (guardProgram: FilterProgram, treeProgram: FilterProgram) {
        (try .knownCalls(), try FilterProgram(rules: rules, otherwise: .allow))
    }

    // MARK: - Parts

    /// Adds a rule, unless the call is notified whatever its registers are.
    private mutating func add(_ rule: FilterProgram.Rule) {
        if rules.contains(where: { $0.name == rule.name && $0.action == .notify && $0.comparisons.isEmpty }) { return }
        if rule.comparisons.isEmpty { rules.removeAll { $0.name == rule.name && $0.action == .notify } }
        if !rules.contains(rule) { rules.append(rule) }
    }

    /// Has every use of a call notified: also of one that fails, so that it is told.
    private mutating func report(_ name: String) {
        // Libraries fall back on calls that are seen only if there is no such call at all. And what fails in some trees only would not
        // fail any more.
        let everywhere = Set(Self.forbidden.map(\.rule))
        if rules.contains(where: {
            $0.name == name && ($0.action == Self.notImplemented || $0.isRefusal && !everywhere.contains($0))
        }) {
            return
        }
        rules.removeAll { $0.name == name }
        rules.append(FilterProgram.Rule(name, .notify, mayBeUnknown: true))
    }

    private mutating func add(_ action: FilterProgram.Action, _ names: String...) {
        for name in names { rules.append(FilterProgram.Rule(name, action)) }
    }

    /// Calls that would do what the rules are about without being asked.
    private mutating func addWaysAround() {
        // What these do is in memory or in another task: libraries fall back on calls that are seen.
        add(Self.notImplemented, "io_uring_setup", "io_uring_enter", "io_uring_register", "clone3")
        // i386: arguments in memory; the C library has used the calls of their own since Linux 4.3.
        add(Self.notImplemented, "socketcall", "ipc")
        // Acting through another process, or taking what it has.
        add(
            Self.permissionDenied, "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp",
            "open_by_handle_at", "userfaultfd", "bpf", "perf_event_open", "kexec_load", "kexec_file_load",
            "init_module", "finit_module", "delete_module")
        // CLONE_FILES without CLONE_THREAD: only threads of one process share descriptors, so that whoever has no other thread has its own to
        // itself (`RegisterProof.unsharedDescriptors`).
        rules.append(
            FilterProgram.Rule(
                "clone", Self.permissionDenied,
                [FilterProgram.Comparison(argument: 0, mask: Self.sharesFiles | Self.isThread, value: Self.sharesFiles)]
            ))
        // PTRACE_TRACEME lets a parent trace; attaching, seizing and writing do the harm.
        for request: UInt64 in [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 18, 19, 24, 31, 32] {
            rules.append(
                FilterProgram.Rule(
                    "ptrace", Self.permissionDenied,
                    [FilterProgram.Comparison(argument: 0, mask: 0xFFFF_FFFF, value: request)]))
        }
        // From PTRACE_SETOPTIONS (0x4200) on: seize, get and set of register sets and the like.
        rules.append(
            FilterProgram.Rule(
                "ptrace", Self.permissionDenied,
                [FilterProgram.Comparison(argument: 0, mask: 0xFFFF_FF00, value: 0x4200)]))
    }

    /// New namespaces and mounts make names mean something else.
    private mutating func addNamespaces() {
        add(
            Self.permissionDenied, "setns", "mount", "umount", "umount2", "pivot_root", "fsopen", "fsconfig", "fsmount",
            "fspick", "move_mount", "open_tree", "mount_setattr")
        // Linux 6.15.
        rules.append(FilterProgram.Rule("open_tree_attr", Self.permissionDenied, mayBeUnknown: true))
        // CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
        for flag: UInt64 in [
            0x20000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000,
        ] {
            for call in ["clone", "unshare"] {
                rules.append(
                    FilterProgram.Rule(
                        call, Self.permissionDenied,
                        [FilterProgram.Comparison(argument: 0, mask: flag, value: flag)]))
            }
        }
        // CLONE_NEWTIME is a bit of the exit signal for clone(2).
        rules.append(
            FilterProgram.Rule(
                "unshare", Self.permissionDenied, [FilterProgram.Comparison(argument: 0, mask: 0x80, value: 0x80)]))
    }

    /// Programs that no event names: under an allow-list nothing unnamed runs.
    private mutating func addNamelessPrograms() {
        // MFD_NOEXEC_SEAL (0x8, Linux 6.3) makes the file one that cannot be executed.
        rules.append(
            FilterProgram.Rule(
                "memfd_create", Self.permissionDenied, [FilterProgram.Comparison(argument: 1, mask: 0x8, value: 0)]))
        // AT_EMPTY_PATH: the file behind a descriptor.
        rules.append(
            FilterProgram.Rule(
                "execveat", Self.permissionDenied,
                [FilterProgram.Comparison(argument: 4, mask: 0x1000, value: 0x1000)]))
    }

    /// Every open but O_PATH, which opens nothing, and every execution.
    private mutating func addOpens() {
        let pathOnly = UInt64(UInt32(bitPattern: OpenFlags.path))
        for (call, flags) in [("open", 1), ("openat", 2)] {
            add(
                FilterProgram.Rule(
                    call, .notify, [FilterProgram.Comparison(argument: flags, mask: pathOnly, value: 0)]))
        }
        for call in ["execve", "execveat"] { add(FilterProgram.Rule(call, .notify)) }
        // Programs loaded as libraries, as a.out had them.
        add(FilterProgram.Rule("uselib", Self.notImplemented, mayBeUnknown: true))
    }

    /// PROT_EXEC and MAP_ANONYMOUS. (The first mmap of i386 has its arguments in memory; the C library has used the second since 1998.)
    private mutating func addAnonymousMaps() {
        for call in ["mmap", "mmap2"] {
            add(
                FilterProgram.Rule(
                    call, .notify,
                    [
                        FilterProgram.Comparison(argument: 2, mask: 0x4, value: 0x4),
                        FilterProgram.Comparison(argument: 3, mask: 0x20, value: 0x20),
                    ], mayBeUnknown: true))
        }
    }

    /// Calls that write, or change names or metadata: performed in the caller's name, once the rules allow it.
    private mutating func addFileCalls(opens: Bool) {
        for kind in CallKind.changes { rules.append(FilterProgram.Rule(kind.name, .notify)) }
        // Its flags lie in memory, and an O_PATH descriptor cannot be handed over: libraries fall back on openat(2).
        add(Self.notImplemented, "openat2")
        // Newer than what they are variants of (Linux 6.6, 6.13, 6.17): libraries fall back.
        for name in ["fchmodat2", "setxattrat", "removexattrat", "file_setattr"] {
            rules.append(FilterProgram.Rule(name, Self.notImplemented, mayBeUnknown: true))
        }
        // FS_IOC_SETFLAGS of both widths, FS_IOC_FSSETXATTR: chattr(1).
        for command: UInt64 in [0x4008_6602, 0x4004_6602, 0x401C_5820] {
            rules.append(
                FilterProgram.Rule(
                    "ioctl", Self.permissionDenied,
                    [FilterProgram.Comparison(argument: 1, mask: 0xFFFF_FFFF, value: command)]))
        }
        guard opens else { return }
        // O_WRONLY, O_RDWR and the two together, O_CREAT, O_TRUNC: but not with O_PATH, which opens nothing.
        let pathOnly = UInt64(UInt32(bitPattern: OpenFlags.path))
        for (call, flags) in [("open", 1), ("openat", 2)] {
            for (mask, value) in [(3, 1), (3, 2), (3, 3), (0o100, 0o100), (0o1000, 0o1000)] as [(UInt64, UInt64)] {
                rules.append(
                    FilterProgram.Rule(
                        call, .notify,
                        [FilterProgram.Comparison(argument: flags, mask: mask | pathOnly, value: value)]))
            }
        }
    }

    /// A manager's socket is known by its name, which it is to keep.
    private mutating func addMoves() {
        for kind in [CallKind.rename, .renameat, .renameat2, .link, .linkat] {
            add(FilterProgram.Rule(kind.name, .notify))
        }
    }

    private mutating func addSockets(_ sockets: FilterNeeds.Sockets) {
        switch sockets {
        case .none: return
        case .all:
            for domain: UInt64 in [2, 10, 17, 43] { addSocket(domain, []) }
        case .some(let interest):
            for type in interest.types {
                for domain: UInt64 in [2, 10] { addSocket(domain, [Self.type(type)]) }
                // SOCK_PACKET and raw packets.
                if type == 3 || type == 10 { addSocket(17, []) }
                if type == 1 { addSocket(43, []) }
            }
            for number in interest.protocols {
                for domain: UInt64 in [2, 10] {
                    addSocket(domain, [Self.number(number)])
                    for (type, own) in Self.defaults where own == number {
                        addSocket(domain, [Self.type(type), Self.number(0)])
                    }
                    // MPTCP and SMC.
                    if number == 6 { for other: Int32 in [262, 256] { addSocket(domain, [Self.number(other)]) } }
                }
                if number == 6 { addSocket(43, []) }
            }
        }
    }

    /// Calls on sockets that need not be the tree's own: inherited, or passed to it; and what queries are sent with.
    private mutating func addCallsOnSockets(_ needs: FilterNeeds) {
        let fastOpen = UInt64(SocketRequest.fastOpen)
        // Of a socket of AF_UNIX the name is a file's.
        if needs.sockets != .none || needs.queries || needs.guardsManagers || needs.files {
            add(FilterProgram.Rule("connect", .notify))
        }
        if needs.sockets != .none { add(FilterProgram.Rule("bind", .notify)) }
        if needs.sockets.haveConnections {
            for name in ["listen", "accept", "accept4"] { add(FilterProgram.Rule(name, .notify, mayBeUnknown: true)) }
            for (name, flags) in [("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)] {
                add(
                    FilterProgram.Rule(
                        name, .notify, [FilterProgram.Comparison(argument: flags, mask: fastOpen, value: fastOpen)]))
            }
        }
        if needs.sockets.haveMessages {
            add(FilterProgram.Rule("sendto", .notify, [.differs(4, from: 0)]))
        }
        if needs.queries {
            // No datagram is longer.
            add(FilterProgram.Rule("sendto", .notify, [.atMost(2, 0xFFFF)]))
            add(FilterProgram.Rule("sendto", .notify, [.differs(4, from: 0)]))
        }
        if needs.sockets.haveMessages || needs.queries {
            for name in ["sendmsg", "sendmmsg"] { add(FilterProgram.Rule(name, .notify)) }
        }
    }

    /// The transport of a type's protocol 0.
    private static let defaults: [(type: Int32, number: Int32)] = [(1, 6), (2, 17), (5, 132)]

    /// The low four bits; SOCK_NONBLOCK and SOCK_CLOEXEC are above.
    private static func type(_ type: Int32) -> FilterProgram.Comparison {
        FilterProgram.Comparison(argument: 1, mask: 0xF, value: UInt64(type))
    }

    private static func number(_ number: Int32) -> FilterProgram.Comparison {
        FilterProgram.Comparison(argument: 2, mask: 0xFFFF_FFFF, value: UInt64(number))
    }

    private mutating func addSocket(_ domain: UInt64, _ comparisons: [FilterProgram.Comparison]) {
        let family = FilterProgram.Comparison(argument: 0, mask: 0xFFFF_FFFF, value: domain)
        // Of socketpair(2) only AF_UNIX and AF_TIPC exist.
        rules.append(FilterProgram.Rule("socket", .notify, [family] + comparisons))
    }
}

extension FilterProgram.Rule {
    /// The call fails.
    fileprivate var isRefusal: Bool {
        if case .errno = action { return true }
        return false
    }
}
