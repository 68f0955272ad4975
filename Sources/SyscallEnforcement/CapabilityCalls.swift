import LinuxKernel

/// System calls whose registers tell that they need a capability (capabilities(7)), as far as registers tell it. Of other uses (a file
/// opened against its mode, a signal to another user's process) only the kernel knows.
enum CapabilityCalls {
    /// Needs the capability when the registers are so, whoever calls.
    static let rules: [(capability: UInt8, rule: FilterProgram.Rule)] = table.flatMap { name, alternatives in
        let number = UInt8(CapabilitySet.names.firstIndex(of: name) ?? 63)
        return alternatives.map { (number, FilterProgram.Rule($0.0, .notify, $0.1, mayBeUnknown: true)) }
    }

    /// Calls that change ids; they need the capability unless every id is one of the caller's own.
    static let ownIDs: [(capability: UInt8, names: [String])] = [
        (7, ["setuid", "setreuid", "setresuid", "setuid32", "setreuid32", "setresuid32"]),
        (6, ["setgid", "setregid", "setresgid", "setgid32", "setregid32", "setresgid32"]),
    ]

    private typealias Comparisons = [FilterProgram.Comparison]

    private static func equal(_ argument: Int, _ value: UInt64, mask: UInt64 = 0xFFFF_FFFF) -> FilterProgram.Comparison
    {
        FilterProgram.Comparison(argument: argument, mask: mask, value: value)
    }

    private static let table: [(String, [(String, Comparisons)])] = [
        // SOCK_RAW of AF_INET and AF_INET6; AF_PACKET.
        (
            "net_raw",
            [
                ("socket", [equal(0, 2), equal(1, 3, mask: 0xF)]), ("socket", [equal(0, 10), equal(1, 3, mask: 0xF)]),
                ("socket", [equal(0, 17)]),
            ]
        ),
        ("setgid", [("setgroups", []), ("setgroups32", [])]),
        // PR_CAPBSET_DROP.
        ("setpcap", [("prctl", [equal(0, 24)])]),
        ("sys_chroot", [("chroot", [])]),
        ("sys_rawio", [("iopl", []), ("ioperm", [])]),
        ("sys_pacct", [("acct", [])]),
        (
            "sys_admin",
            ["swapon", "swapoff", "sethostname", "setdomainname", "quotactl", "fanotify_init"].map { ($0, []) }
        ),
        ("sys_boot", [("reboot", [])]),
        ("sys_time", ["settimeofday", "clock_settime", "clock_settime64", "stime"].map { ($0, []) }),
        ("sys_tty_config", [("vhangup", [])]),
        // S_IFCHR and S_IFBLK.
        (
            "mknod",
            [
                ("mknod", [equal(1, 0o020000, mask: 0o170000)]), ("mknod", [equal(1, 0o060000, mask: 0o170000)]),
                ("mknodat", [equal(2, 0o020000, mask: 0o170000)]), ("mknodat", [equal(2, 0o060000, mask: 0o170000)]),
            ]
        ),
    ]

    /// The capabilities that a call can be asked about for.
    static let numbers = Set(rules.map(\.capability) + ownIDs.map(\.capability))
}
