import CLinux
import Glibc

/// A limit of the calling process (setrlimit(2)).
public enum ResourceLimit: Sendable {
    /// RLIMIT_NOFILE: descriptors.
    case openFiles
    /// RLIMIT_CORE: bytes of a core dump.
    case coreSize
    /// RLIMIT_MEMLOCK: bytes of locked memory.
    case lockedMemory
    /// RLIMIT_NPROC: the user's processes.
    case processes

    private var number: Int32 {
        switch self {
        case .openFiles: Int32(RLIMIT_NOFILE.rawValue)
        case .coreSize: Int32(RLIMIT_CORE.rawValue)
        case .lockedMemory: Int32(__RLIMIT_MEMLOCK.rawValue)
        case .processes: Int32(__RLIMIT_NPROC.rawValue)
        }
    }

    /// Soft and hard value; UInt64.max for no limit.
    public struct Values: Equatable, Sendable {
        /// What is enforced.
        public var soft: UInt64
        /// What the soft value can be raised to.
        public var hard: UInt64
        /// Both values.
        public init(soft: UInt64, hard: UInt64) {
            self.soft = soft
            self.hard = hard
        }
    }

    /// The values now.
    public func current() throws(KernelError) -> Values {
        var values = Values(soft: 0, hard: 0)
        try KernelError.check("getrlimit", pc_get_limit(number, &values.soft, &values.hard))
        return values
    }

    /// setrlimit(2). EPERM: a raised hard value without CAP_SYS_RESOURCE.
    public func set(_ values: Values) throws(KernelError) {
        try KernelError.check("setrlimit", pc_set_limit(number, values.soft, values.hard))
    }

    /// Raises the soft value to `wanted`, or as far as the hard value allows. Returns the new soft value.
    @discardableResult
    public func raise(to wanted: UInt64) throws(KernelError) -> UInt64 {
        let now = try current()
        guard wanted > now.soft else { return now.soft }
        let soft = Swift.min(wanted, now.hard)
        try set(Values(soft: soft, hard: now.hard))
        return soft
    }
}
