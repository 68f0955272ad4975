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
}
