import CSeccomp

/// A seccomp filter that this process puts on itself, for good.
public enum SelfFilter {
    /// What a refused call gives.
    public enum Refusal: Sendable {
        /// The process ends with SIGSYS.
        case kill
        /// EPERM.
        case permissionDenied
    }

    /// What else is refused.
    public struct Denials: OptionSet, Sendable {
        /// The bits of the C shim.
        public let rawValue: UInt32
        /// From the bits of the C shim.
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// socket(2) for every domain but AF_UNIX.
        public static let nonUnixSockets = Denials(rawValue: 1)
        /// execve and execveat.
        public static let execution = Denials(rawValue: 2)
        /// fanotify_init.
        public static let fanotify = Denials(rawValue: 4)
        /// Everything a process needs none of that only parses and formats.
        public static let frontRole: Denials = [.execution, .fanotify]
    }

    /// Installs the filter on all threads and sets no_new_privs. Always refused: tracing, other processes' memory,
    /// mounts, namespaces, modules, bpf, keys, kexec, reboot, open_by_handle_at, userfaultfd, perf_event_open; io_uring
    /// and clone3 answer ENOSYS, foreign architectures kill. There is no way back.
    public static func install(refusal: Refusal, denying denials: Denials) throws(KernelError) {
        let action = refusal == .kill ? PC_SECCOMP_KILL_PROCESS : PC_SECCOMP_ERRNO
        try KernelError.check("seccomp", pc_seccomp_install_self_filter(UInt32(action), denials.rawValue))
    }
}
