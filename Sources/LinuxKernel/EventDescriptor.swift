import CLinux

/// An eventfd(2): a counter that can be waited for.
public struct EventDescriptor: ~Copyable, Sendable {
    /// For poll(2) and for passing on.
    public let descriptor: Descriptor

    /// A nonblocking counter at 0.
    public init() throws(KernelError) {
        descriptor = Descriptor(owning: try KernelError.check("eventfd", pc_eventfd(0, 0, 1)))
    }

    /// Takes over an eventfd, for example a received one.
    public init(owning descriptor: consuming Descriptor) { self.descriptor = descriptor }

    /// Adds one and wakes whoever waits. Allocates nothing; a full counter stays full.
    public borrowing func signal() { Self.signal(descriptor.raw) }

    /// Adds one to an eventfd somebody else owns.
    public static func signal(_ raw: Int32) {
        var one: UInt64 = 1
        _ = pc_write(raw, &one, 8)
    }

    /// Sets the counter to 0 and returns what it was.
    @discardableResult
    public borrowing func drain() -> UInt64 {
        var value: UInt64 = 0
        return pc_read(descriptor.raw, &value, 8) == 8 ? value : 0
    }
}
