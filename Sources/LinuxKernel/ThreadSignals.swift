import CLinux

/// The signals of a thread that have arrived and not been handled, /proc/<tid>/status.
public struct ThreadSignals: Sendable {
    private var own: UInt64 = 0
    private var shared: UInt64 = 0
    private var blocked: UInt64 = 0
    private var ignored: UInt64 = 0
    private var threads = 0

    /// What a thread that waits is to be told.
    public enum Call: Sendable {
        /// Nothing has arrived for it.
        case none
        /// A signal is its to handle: the call ends with ERESTARTSYS, which the kernel makes EINTR or the call anew of.
        case restarts
        /// One of several threads is to handle it, which may be this one: the call ends with EINTR.
        case mayInterrupt
    }

    /// Reads those of a thread.
    public init(of thread: Int32) {
        let file = pc_proc_open(ProcFS.root, thread, ProcFS.text("status"), OpenFlags.readOnly)
        guard file >= 0 else { return }
        _ = LineReader.forEachLine(descriptor: file) { take($0) }
        _ = pc_close(file)
    }

    private mutating func take(_ line: UnsafeRawBufferPointer) {
        func mask(_ name: StaticString) -> UInt64? {
            guard var rest = ByteText.suffix(of: line, after: name), let field = ByteText.nextField(&rest) else {
                return nil
            }
            return ByteText.hexadecimal(field)
        }
        if let value = mask("SigPnd:") {
            own = value
        } else if let value = mask("ShdPnd:") {
            shared = value
        } else if let value = mask("SigBlk:") {
            blocked = value
        } else if let value = mask("SigIgn:") {
            ignored = value
        } else if var rest = ByteText.suffix(of: line, after: "Threads:") {
            threads = ByteText.nextField(&rest).flatMap { ByteText.decimal($0) }.map { Int(clamping: $0) } ?? 0
        }
    }

    /// What they mean for a call that the thread waits in. The kernel sets a thread's flag for its own signals, and for its process's if
    /// it is the only one; only then may a call be ended so that the kernel decides about making it anew.
    public var call: Call {
        let unblocked = ~(blocked | ignored)
        if own & unblocked != 0 || threads == 1 && shared & unblocked != 0 { return .restarts }
        return shared & unblocked != 0 ? .mayInterrupt : .none
    }
}
