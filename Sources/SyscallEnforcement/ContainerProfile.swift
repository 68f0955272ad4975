import LinuxKernel

/// The filter of a tree as a container runtime takes it: the seccomp object of the OCI runtime specification. It asks about
/// everything that a rule can be about, because policies come and go while a container keeps its filter; what no rule is about is let go on by
/// its registers.
///
/// Other than a tree's own two programs it has to say in one what is let through. A call that is not named fails with ENOSYS, as newer ones do
/// that nobody had a name for.
public struct ContainerProfile: Sendable, Encodable {
    /// What happens to calls, by name and registers.
    public struct Entry: Sendable, Encodable, Equatable {
        /// A condition on a register.
        public struct Argument: Sendable, Encodable, Equatable {
            var index: UInt32
            /// The mask.
            var value: UInt64
            /// What its bits must be.
            var valueTwo: UInt64
            var op = "SCMP_CMP_MASKED_EQ"
        }

        var names: [String]
        var action: String
        var errnoRet: UInt32?
        var args: [Argument]?
    }

    var defaultAction = "SCMP_ACT_ERRNO"
    /// ENOSYS.
    var defaultErrnoRet: UInt32 = 38
    var architectures: [String]
    var listenerPath: String
    var listenerMetadata: String?
    var flags: [String]?
    /// The rules.
    public private(set) var syscalls: [Entry] = []

    /// Calls that reach beyond a container and that no program in one needs; engines' own profiles refuse them, too.
    static let refused = [
        "acct", "add_key", "keyctl", "request_key", "adjtimex", "clock_adjtime", "clock_adjtime64", "clock_settime",
        "clock_settime64", "settimeofday", "stime", "create_module", "get_kernel_syms", "query_module", "iopl",
        "ioperm", "lookup_dcookie", "nfsservctl", "quotactl", "quotactl_fd", "reboot", "swapon", "swapoff", "_sysctl",
        "sysfs", "syslog", "uselib", "ustat", "vm86", "vm86old", "vhangup", "fanotify_init", "fanotify_mark",
        "move_pages",
    ]

    /// - Parameters:
    ///   - listenerPath: the socket that the agent listens on.
    ///   - metadata: handed to the agent with the listener.
    ///   - waitsKillably: no signal interrupts a call that is being performed (Linux 5.19); the runtime has to know the flag (crun 1.8, runc 1.2).
    ///   - calls: names of calls that are to be reported.
    public init(
        listenerPath: String, metadata: String? = nil, waitsKillably: Bool = false, reporting calls: Set<String> = []
    ) {
        self.listenerPath = listenerPath
        listenerMetadata = metadata
        flags = waitsKillably ? ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"] : nil
        architectures =
            Architecture.native == .x86_64
            ? ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"] : ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
        var needs = FilterNeeds()
        (needs.files, needs.decidesOpens, needs.isWorkload, needs.sockets) = (true, true, true, .all)
        (needs.anonymousMaps, needs.queries) = (true, true)
        needs.capabilities = CapabilityCalls.numbers
        needs.calls = calls
        let rules = Dictionary(grouping: FilterPlan(needs).rules, by: \.name)
        let unmentioned = CallNames.everyName.subtracting(rules.keys).subtracting(Self.refused)
        syscalls.append(Entry(names: unmentioned.sorted(), action: Self.allow))
        syscalls.append(Entry(names: Self.refused.filter { rules[$0] == nil }, action: Self.refuse, errnoRet: 1))
        var notified: [String] = []
        for (name, alternatives) in rules.sorted(by: { $0.key < $1.key }) {
            if Self.refused.contains(name) {
                syscalls.append(Entry(names: [name], action: Self.refuse, errnoRet: 1))
            } else {
                add(name, alternatives, &notified)
            }
        }
        syscalls.append(Entry(names: notified, action: Self.notify))
        // Runtimes refuse a rule that says what holds anyway.
        syscalls.removeAll { $0.action == Self.refuse && $0.errnoRet == defaultErrnoRet }
    }

    private static let (allow, refuse, notify) = ("SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_NOTIFY")

    /// Runtimes take alternatives only if no two of them hold for the same registers.
    private mutating func add(_ name: String, _ rules: [FilterProgram.Rule], _ notified: inout [String]) {
        // A file's flags (chattr) need CAP_LINUX_IMMUTABLE, or are nobody's business.
        if name == "ioctl" { return syscalls.append(Entry(names: [name], action: Self.allow)) }
        let isNotified = rules.contains { $0.action == .notify }
        if let only = rules.first, rules.count == 1 || !isNotified {
            guard !only.comparisons.isEmpty else {
                if isNotified { notified.append(name) } else { appendRefusal(only) }
                return
            }
            if rules.count == 1, only.comparisons.allSatisfy({ $0.mask.nonzeroBitCount == 1 }) {
                return addBits(name, only.comparisons)
            }
        }
        if isNotified { return notified.append(name) }
        // CLONE_FILES is refused without CLONE_THREAD only.
        let sharing = FilterPlan.sharesFiles | FilterPlan.isThread
        let single = rules.filter { $0.comparisons.first?.mask != sharing }
        for rule in single { appendRefusal(rule) }
        // Let through is what has none of the bits, or the value 0 of what is compared as a whole.
        let mask: UInt64 = single.flatMap(\.comparisons).reduce(0) { $0 | $1.mask }
        guard let argument = rules.first?.comparisons.first?.argument else { return }
        func allow(_ mask: UInt64, _ value: UInt64) {
            syscalls.append(
                Entry(
                    names: [name], action: Self.allow,
                    args: [Entry.Argument(index: UInt32(argument), value: mask, valueTwo: value)]))
        }
        guard single.count != rules.count else { return allow(mask, 0) }
        allow(mask | FilterPlan.sharesFiles, 0)
        allow(mask | sharing, sharing)
    }

    /// Notified are calls with all these bits as they are; let through are the others: the first bit another, or the first so and the second
    /// another, and so on.
    private mutating func addBits(_ name: String, _ bits: [FilterProgram.Comparison]) {
        syscalls.append(Entry(names: [name], action: Self.notify, args: bits.map(Self.argument)))
        for (index, bit) in bits.enumerated() {
            var other = bit
            other.value ^= bit.mask
            syscalls.append(
                Entry(names: [name], action: Self.allow, args: (bits[..<index] + [other]).map(Self.argument)))
        }
    }

    private mutating func appendRefusal(_ rule: FilterProgram.Rule) {
        guard case .errno(let code) = rule.action else { return }
        syscalls.append(
            Entry(
                names: [rule.name], action: Self.refuse, errnoRet: UInt32(code),
                args: rule.comparisons.isEmpty ? nil : rule.comparisons.map(Self.argument)))
    }

    private static func argument(_ comparison: FilterProgram.Comparison) -> Entry.Argument {
        Entry.Argument(index: UInt32(comparison.argument), value: comparison.mask, valueTwo: comparison.value)
    }
}
