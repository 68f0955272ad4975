import CLinux

/// epoll(7) of descriptors that each give one event and then are silent until they are armed again (EPOLLONESHOT): so that of
/// several waiting threads one gets it. Lives as long as the process.
public struct EventPoll: Sendable {
    /// Readable when a wait would give an event.
    public let descriptor: Int32

    /// What is waited for.
    public enum Interest: Int32, Sendable {
        /// Something can be read.
        case readable = 0
        /// Something can be written, or a connection has come about.
        case writable = 1
    }

    /// What came of waiting.
    public struct Event: Sendable {
        /// The number the descriptor was added under.
        public var tag: UInt64
        /// What was waited for has happened.
        public var isReadable: Bool
        /// The other end is gone for good.
        public var hasEnded: Bool
    }

    /// - Throws: without descriptors or memory.
    public init() throws(KernelError) {
        descriptor = try KernelError.check("epoll_create1", pc_epoll_create())
    }

    /// Adds a descriptor, armed: 0 or a negated errno.
    ///
    /// - Parameter what: what is waited for.
    public func add(_ watched: Int32, tag: UInt64, for what: Interest = .readable) -> Int32 {
        pc_epoll_arm(descriptor, watched, tag, 0, what.rawValue)
    }

    /// Arms a descriptor again: 0 or a negated errno.
    @discardableResult public func arm(_ watched: Int32, tag: UInt64, for what: Interest = .readable) -> Int32 {
        pc_epoll_arm(descriptor, watched, tag, 1, what.rawValue)
    }

    /// Takes a descriptor out.
    public func remove(_ watched: Int32) { pc_epoll_remove(descriptor, watched) }

    /// Waits for one event; `nil` after the time, or a signal.
    ///
    /// - Parameter timeout: milliseconds, -1 without end.
    public func wait(timeoutMilliseconds timeout: Int32) -> Event? {
        var tag: UInt64 = 0
        let result = pc_epoll_wait(descriptor, timeout, &tag)
        guard result > 0 else { return nil }
        return Event(tag: tag, isReadable: result & 1 != 0, hasEnded: result & 2 != 0)
    }
}
