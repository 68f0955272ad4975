/// A set of capabilities(7): bit n is capability n.
public struct CapabilitySet: OptionSet, Hashable, Sendable, CustomStringConvertible {
    /// The bits as in /proc/<pid>/status.
    public let rawValue: UInt64
    /// From the kernel's bits.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// The set with one capability, by number; empty above 63.
    public init(number: Int) { rawValue = number >= 0 && number < 64 ? 1 << UInt64(number) : 0 }

    /// CAP_CHOWN.
    public static let chown = CapabilitySet(number: 0)
    /// CAP_DAC_OVERRIDE.
    public static let dacOverride = CapabilitySet(number: 1)
    /// CAP_DAC_READ_SEARCH.
    public static let dacReadSearch = CapabilitySet(number: 2)
    /// CAP_FOWNER.
    public static let fowner = CapabilitySet(number: 3)
    /// CAP_FSETID.
    public static let fsetid = CapabilitySet(number: 4)
    /// CAP_KILL.
    public static let kill = CapabilitySet(number: 5)
    /// CAP_SETGID.
    public static let setgid = CapabilitySet(number: 6)
    /// CAP_SETUID.
    public static let setuid = CapabilitySet(number: 7)
    /// CAP_SETPCAP.
    public static let setpcap = CapabilitySet(number: 8)
    /// CAP_LINUX_IMMUTABLE.
    public static let linuxImmutable = CapabilitySet(number: 9)
    /// CAP_NET_BIND_SERVICE.
    public static let netBindService = CapabilitySet(number: 10)
    /// CAP_NET_ADMIN.
    public static let netAdmin = CapabilitySet(number: 12)
    /// CAP_NET_RAW.
    public static let netRaw = CapabilitySet(number: 13)
    /// CAP_IPC_LOCK.
    public static let ipcLock = CapabilitySet(number: 14)
    /// CAP_SYS_MODULE.
    public static let sysModule = CapabilitySet(number: 16)
    /// CAP_SYS_CHROOT.
    public static let sysChroot = CapabilitySet(number: 18)
    /// CAP_SYS_PTRACE.
    public static let sysPtrace = CapabilitySet(number: 19)
    /// CAP_SYS_ADMIN.
    public static let sysAdmin = CapabilitySet(number: 21)
    /// CAP_SYS_NICE.
    public static let sysNice = CapabilitySet(number: 23)
    /// CAP_SYS_RESOURCE.
    public static let sysResource = CapabilitySet(number: 24)
    /// CAP_MKNOD.
    public static let makeNode = CapabilitySet(number: 27)
    /// CAP_LEASE.
    public static let lease = CapabilitySet(number: 28)
    /// CAP_AUDIT_WRITE.
    public static let auditWrite = CapabilitySet(number: 29)
    /// CAP_SETFCAP.
    public static let setFileCapabilities = CapabilitySet(number: 31)
    /// CAP_SYSLOG.
    public static let syslog = CapabilitySet(number: 34)
    /// CAP_BPF, Linux 5.8.
    public static let bpf = CapabilitySet(number: 39)
    /// CAP_CHECKPOINT_RESTORE, Linux 5.9.
    public static let checkpointRestore = CapabilitySet(number: 40)

    /// Names in the order of their numbers, as capabilities(7) writes them, without CAP_ and in lower case.
    public static let names: [String] = [
        "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
        "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
        "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
        "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
        "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
        "checkpoint_restore",
    ]

    /// The set with the capability of this name ("net_raw", "CAP_NET_RAW"); nil if there is none.
    public init?(name: String) {
        var lower = name.lowercased()
        if lower.hasPrefix("cap_") { lower.removeFirst(4) }
        guard let number = Self.names.firstIndex(of: lower) else { return nil }
        self.init(number: number)
    }

    /// The numbers in the set, ascending.
    public var numbers: [Int] { (0..<64).filter { rawValue >> UInt64($0) & 1 == 1 } }

    /// "net_raw,sys_admin"; "-" for the empty set.
    public var description: String {
        isEmpty
            ? "-" : numbers.map { $0 < Self.names.count ? Self.names[$0] : "cap_\($0)" }.joined(separator: ",")
    }
}
