import CLinux

/// Any number of borrowed descriptors to wait for until one of them can be read. Allocates; for threads that nobody waits for.
public struct PollList: Sendable {
    private var entries: [pollfd] = []

    /// Empty.
    public init() {}

    /// Adds a descriptor; a negative one is passed over.
    public mutating func add(_ descriptor: Int32) {
        if descriptor >= 0 {
            entries.append(pollfd(fd: descriptor, events: PollEvents.readable.rawValue, revents: 0))
        }
    }

    /// poll(2): how many of them have events, 0 after `timeout` milliseconds (-1 = none), or a negated errno.
    public mutating func wait(timeoutMilliseconds timeout: Int32) -> Int32 {
        entries.withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return -22 }
            return pc_poll(start, UInt32(buffer.count), timeout)
        }
    }
}
