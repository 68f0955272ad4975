import CLinux

/// What the running kernel and the caller's privileges offer, found by trying. Marks are only ever put on a memfd, pipe
/// or file of the probe's own, that nobody opens; nothing is left behind.
public struct FeatureProbe: Sendable {
    /// One finding.
    public struct Result: Equatable, Sendable {
        /// Stable name: "fanotify.permission-class".
        public var name: String
        /// Whether it can be used.
        public var available: Bool
        /// A value, or why it cannot be used.
        public var detail: String
    }

    /// The findings, in a fixed order.
    public private(set) var results: [Result] = []

    /// Whether a feature is available; false for a name that was not probed.
    public func isAvailable(_ name: String) -> Bool { results.first { $0.name == name }?.available ?? false }

    /// Probes everything. Takes some milliseconds; forks short-lived children for what cannot be undone.
    public static func run() -> FeatureProbe {
        var probe = FeatureProbe()
        probe.probeKernel()
        probe.probeFanotify()
        probe.probeSeccomp()
        probe.probeProcesses()
        probe.probeSystem()
        probe.probeCapabilities()
        return probe
    }

    mutating func add(_ name: String, _ available: Bool, _ detail: String) {
        results.append(Result(name: name, available: available, detail: detail))
    }

    /// A result of a call: at least 0, or a negated errno.
    mutating func add(_ name: String, result: Int32, detail: String = "") {
        add(name, result >= 0, result >= 0 ? detail : KernelError.message(-result))
    }

    private mutating func probeKernel() {
        let release = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 65) { buffer -> String? in
            guard let base = buffer.baseAddress, pc_kernel_release(base, 65) == 0 else { return nil }
            return String(cString: base)
        }
        add("kernel.release", release != nil, release ?? "uname failed")
    }

    private mutating func probeSeccomp() {
        add("seccomp.user-notification", result: pc_seccomp_action_available(0x7fc0_0000))
        add("seccomp.kill-process", result: pc_seccomp_action_available(0x8000_0000))
        var notification: UInt16 = 0
        var response: UInt16 = 0
        var data: UInt16 = 0
        let sizes = pc_seccomp_notification_sizes(&notification, &response, &data)
        add("seccomp.notification-sizes", result: sizes, detail: "\(notification)/\(response)/\(data)")
        add("seccomp.tsync-esrch", result: pc_seccomp_flag_known(1 << 4 | 1 << 0))
        add("seccomp.wait-killable", result: pc_seccomp_flag_known(1 << 5 | 1 << 3))
        add("seccomp.add-descriptor", result: pc_seccomp_addfd_probe())
        add("seccomp.add-descriptor-send", result: pc_seccomp_addfd_send_probe())
        add("seccomp.sync-wake-up", result: pc_seccomp_sync_wake_up_probe())
    }

    private mutating func probeProcesses() {
        var pidDescriptor: Descriptor?
        do {
            pidDescriptor = try ProcessDescriptor.open(ownPID)
            add("pidfd.open", true, "")
        } catch {
            add("pidfd.open", false, error.description)
        }
        if let opened = pidDescriptor.take() {
            do {
                let memory = try SealedMemory.create(name: "probe", bytes: UnsafeRawBufferPointer(start: nil, count: 0))
                _ = try ProcessDescriptor.copyDescriptor(memory.raw, of: opened.raw)
                add("pidfd.getfd", true, "")
            } catch {
                add("pidfd.getfd", false, error.description)
            }
        } else {
            add("pidfd.getfd", false, "needs pidfd.open")
        }
        do {
            _ = try PathOpening.open(
                "/proc/self/status", flags: OpenFlags.readOnly, resolve: [])
            add("openat2", true, "")
        } catch {
            add("openat2", false, error.description)
        }
        do {
            let memory = try SealedMemory.create(name: "probe", bytes: UnsafeRawBufferPointer(start: nil, count: 0))
            _ = try SealedMemory(mapping: memory.raw, limit: 0)
            add("memfd.seals", true, "")
        } catch {
            add("memfd.seals", false, error.description)
        }
        let landlock = pc_landlock_abi()
        add("landlock", result: landlock, detail: "ABI \(landlock)")
    }

    private mutating func probeSystem() {
        add("nf_tables", result: pc_nftables_probe())
        if let mounts = try? MountTable.read() {
            let found = mounts.first { $0.type.elementsEqual("cgroup2".utf8) }
            add(
                "cgroup2", found != nil,
                found.map { String(decoding: $0.mountPoint, as: UTF8.self) } ?? "not mounted")
        } else {
            add("cgroup2", false, "mountinfo could not be read")
        }
        add("user-namespaces", result: pc_user_namespace_probe())
        if let bytes = try? PathOpening.read("/sys/kernel/security/lsm", limit: 4096) {
            let active = String(decoding: bytes, as: UTF8.self)
            add("lsm.active", true, active)
            add("lsm.bpf", active.split(separator: ",").contains("bpf"), active)
        } else {
            add("lsm.active", false, "securityfs is not mounted")
            add("lsm.bpf", false, "securityfs is not mounted")
        }
        do {
            add("yama", true, "ptrace_scope \(try KernelSetting.number("kernel/yama/ptrace_scope"))")
        } catch {
            add("yama", false, error.description)
        }
        probeRings()
        add(
            "proc.syscall", isReadable(ProcFS.waitingSystemCall(of: KernelThread.currentID)), "")
    }

    /// Whether nobody can use io_uring, whose opens hide behind other calls' registers (see `OpenIntent`).
    private mutating func probeRings() {
        let name = "io_uring.disabled"
        let own = pc_io_uring_probe()
        let setting = try? KernelSetting.number("kernel/io_uring_disabled")
        if own == -38 {
            add(name, true, "not in this kernel")
        } else if setting == 2 {
            add(name, true, "kernel.io_uring_disabled = 2")
        } else if let setting {
            add(name, false, "kernel.io_uring_disabled = \(setting)")
        } else {
            add(name, false, "no kernel.io_uring_disabled in this kernel")
        }
    }

    private func isReadable(_ state: SystemCallState) -> Bool {
        if case .unavailable = state { return false }
        return true
    }

    private mutating func probeCapabilities() {
        guard let sets = try? Capabilities.current() else {
            add("capabilities", false, "/proc/self/status could not be read")
            return
        }
        let wanted: [CapabilitySet] = [
            .sysAdmin, .sysPtrace, .netAdmin, .dacReadSearch, .kill, .lease, .sysResource, .sysNice, .ipcLock,
            .setuid, .setgid, .setpcap,
        ]
        for capability in wanted {
            add("capability.\(capability)", sets.effective.contains(capability), "")
        }
    }
}
