import CLinux

/// Events of poll(2).
public struct PollEvents: OptionSet, Sendable {
    /// The bits as the kernel has them.
    public let rawValue: Int16
    /// From the kernel's bits.
    public init(rawValue: Int16) { self.rawValue = rawValue }

    /// POLLIN.
    public static let readable = PollEvents(rawValue: 0x1)
    /// POLLPRI: a changed mount table, a pressure trigger.
    public static let priority = PollEvents(rawValue: 0x2)
    /// POLLOUT.
    public static let writable = PollEvents(rawValue: 0x4)
    /// POLLERR; always reported.
    public static let error = PollEvents(rawValue: 0x8)
    /// POLLHUP; always reported.
    public static let hangUp = PollEvents(rawValue: 0x10)
    /// POLLNVAL: not an open descriptor; always reported.
    public static let invalid = PollEvents(rawValue: 0x20)
}

/// Up to 32 borrowed descriptors to wait for. Lives on the stack and allocates nothing.
public struct PollSet: Sendable {
    /// Descriptors at most.
    public static let capacity = 32
    private var entries = InlineArray<32, pollfd>(repeating: pollfd(fd: -1, events: 0, revents: 0))
    /// Entries in use.
    public private(set) var count = 0

    /// Empty.
    public init() {}

    /// Adds a descriptor and returns its place; nil if the set is full.
    @discardableResult
    public mutating func add(_ descriptor: Int32, _ events: PollEvents) -> Int? {
        guard count < Self.capacity else { return nil }
        entries[count] = pollfd(fd: descriptor, events: events.rawValue, revents: 0)
        count += 1
        return count - 1
    }

    /// Changes an entry; a negative descriptor is skipped by `wait`.
    public mutating func replace(at index: Int, _ descriptor: Int32, _ events: PollEvents) {
        guard index >= 0, index < count else { return }
        entries[index] = pollfd(fd: descriptor, events: events.rawValue, revents: 0)
    }

    /// Removes all entries.
    public mutating func removeAll() { count = 0 }

    /// poll(2): how many entries have events, 0 after `timeout` milliseconds (-1 = none), or a negated errno (EINTR: a
    /// signal handler ran).
    public mutating func wait(timeoutMilliseconds timeout: Int32) -> Int32 {
        let used = UInt32(count)
        return withUnsafeMutableBytes(of: &entries) { buffer -> Int32 in
            guard let base = buffer.baseAddress else { return -22 }
            return pc_poll(base.assumingMemoryBound(to: pollfd.self), used, timeout)
        }
    }

    /// What the last `wait` found at a place.
    public func events(at index: Int) -> PollEvents {
        guard index >= 0, index < count else { return [] }
        return PollEvents(rawValue: entries[index].revents)
    }
}
