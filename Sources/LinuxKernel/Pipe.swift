import CLinux

/// A pipe(2) with both ends close-on-exec.
public struct Pipe: ~Copyable, Sendable {
    /// Reads what is written to `writer`.
    public var reader: Descriptor
    /// The other end.
    public var writer: Descriptor

    /// EMFILE if the limit of descriptors is reached.
    public init() throws(KernelError) {
        var first: Int32 = -1
        var second: Int32 = -1
        try KernelError.check("pipe2", pc_pipe(&first, &second))
        reader = Descriptor(owning: first)
        writer = Descriptor(owning: second)
    }

    /// Whether somebody has, or had, the other end of a pipe that was opened to be read with O_NONBLOCK when nobody had (fifo(7)). Nothing is
    /// taken out of it. False as well when it cannot be told.
    public static func isWritten(_ reader: Int32) -> Bool { pc_pipe_is_written(reader) > 0 }
}
