import CLinux

/// What a thread blocked in a permission event asked for, from its system call's registers.
///
/// A 32-bit caller's numbers are those of its own table and look like other calls here; of them none that opens files
/// has the number of a native call that does, except openat2, which means the same. So they come out as `unknown`.
/// The registers are those of the system call the thread is in, which need not be the one that opens: a request of an
/// io_uring may run as task work at the end of another call. A write linked behind a poll was seen as the `openat` for
/// reading that its thread was just leaving (Linux 6.18). Only where nobody can use io_uring (the probe's
/// `io_uring.disabled`, or a filter on the process) is `read` more than a hint.
public struct OpenIntent: Equatable, Sendable {
    /// How the object will be used.
    public enum Access: Sendable {
        /// Only read.
        case read
        /// Written, or truncated at once.
        case write
        /// Not known: io_uring, openat2 (its flags lie in memory that another thread may change), an unexpected call,
        /// registers that could not be read. Enforcement takes it for a write.
        case unknown
    }

    /// How the object will be used.
    public var access: Access
    /// The open flags; for openat2 those read from memory, good enough for a log only. 0 if not known.
    public var flags: UInt64
    /// Whether the call is execve or execveat.
    public var isExecution: Bool

    /// A known intent.
    public init(access: Access, flags: UInt64, isExecution: Bool) {
        self.access = access
        self.flags = flags
        self.isExecution = isExecution
    }

    /// Nothing known.
    public static let unknown = OpenIntent(access: .unknown, flags: 0, isExecution: false)

    /// Whether O_CREAT is among the flags.
    public var mayCreate: Bool { flags & UInt64(UInt32(bitPattern: OpenFlags.create)) != 0 }
    /// Whether a write has to be assumed.
    public var mayWrite: Bool { access != .read }

    /// The intent of the thread of a permission event. Allocates nothing.
    public static func ofWaiting(tid: Int32) -> OpenIntent { of(SystemCallState.ofWaiting(tid: tid), tid: tid) }

    /// The intent that a state shows. Allocates nothing. `tid` is needed for openat2 only.
    public static func of(_ state: SystemCallState, tid: Int32) -> OpenIntent {
        guard case .blocked(let number, let arguments) = state else { return unknown }
        switch number {
        #if arch(x86_64)
            case 2: return byFlags(arguments[1])  // open
            case 85: return byFlags(UInt64(OpenFlags.create | OpenFlags.writeOnly | OpenFlags.truncate))  // creat
        #endif
        case openatNumber, openByHandleNumber: return byFlags(arguments[2])
        case execveNumber, execveatNumber: return OpenIntent(access: .read, flags: 0, isExecution: true)
        case 437: return byOpenHow(at: arguments[2], size: arguments[3], tid: tid)
        default: return unknown
        }
    }

    #if arch(x86_64)
        private static let openatNumber: Int64 = 257
        private static let openByHandleNumber: Int64 = 304
        private static let execveNumber: Int64 = 59
        private static let execveatNumber: Int64 = 322
    #elseif arch(arm64)
        private static let openatNumber: Int64 = 56
        private static let openByHandleNumber: Int64 = 265
        private static let execveNumber: Int64 = 221
        private static let execveatNumber: Int64 = 281
    #else
        #error("system call numbers of this architecture are not known")
    #endif

    private static func byFlags(_ register: UInt64) -> OpenIntent {
        // The call takes an int: the upper half of the register is noise the caller chooses.
        let flags = UInt64(UInt32(truncatingIfNeeded: register))
        let writes = flags & 3 != 0 || flags & UInt64(UInt32(bitPattern: OpenFlags.truncate)) != 0
        return OpenIntent(access: writes ? .write : .read, flags: flags, isExecution: false)
    }

    private static func byOpenHow(at address: UInt64, size: UInt64, tid: Int32) -> OpenIntent {
        var flags: UInt64 = 0
        guard size >= 24, pc_read_process_memory(tid, address, &flags, 8) == 0 else { return unknown }
        // Memory that says "write" is believed, memory that says "read" is not.
        return OpenIntent(
            access: byFlags(flags).access == .write ? .write : .unknown, flags: flags, isExecution: false)
    }
}
