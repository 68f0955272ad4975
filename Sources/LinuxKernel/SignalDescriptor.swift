import CLinux

/// Signals read from a descriptor (signalfd(2)) instead of interrupting threads.
public struct SignalDescriptor: ~Copyable, Sendable {
    /// One received signal.
    public struct Received: Equatable, Sendable {
        /// The signal.
        public var number: Int32
        /// si_code: 0 = kill(2).
        public var code: Int32
        /// The sender.
        public var pid: Int32
        /// The sender's real user id.
        public var uid: UInt32
    }

    /// For poll(2).
    public let descriptor: Descriptor

    /// Blocks the signals in the calling thread and those it starts later, and reads them here. Make it before any
    /// other thread exists: a thread that does not block them would still get them.
    public init(_ signals: [Int32]) throws(KernelError) {
        let mask = Self.mask(signals)
        try KernelError.check("pthread_sigmask", pc_block_signals(mask))
        descriptor = Descriptor(owning: try KernelError.check("signalfd", pc_signalfd(mask, 1)))
    }

    /// The next pending signal; nil if there is none.
    public borrowing func next() throws(KernelError) -> Received? {
        var raw = pc_signal()
        let result = try KernelError.check("read signalfd", pc_signal_read(descriptor.raw, &raw))
        guard result == 1 else { return nil }
        return Received(
            number: Int32(bitPattern: raw.number), code: raw.code, pid: Int32(bitPattern: raw.pid), uid: raw.uid)
    }

    /// Unblocks signals in the calling thread.
    public static func unblock(_ signals: [Int32]) throws(KernelError) {
        try KernelError.check("pthread_sigmask", pc_unblock_signals(mask(signals)))
    }

    /// Blocks signals in the calling thread.
    public static func block(_ signals: [Int32]) throws(KernelError) {
        try KernelError.check("pthread_sigmask", pc_block_signals(mask(signals)))
    }

    private static func mask(_ signals: [Int32]) -> UInt64 {
        signals.reduce(0) { $1 >= 1 && $1 <= 64 ? $0 | 1 << UInt64($1 - 1) : $0 }
    }
}
