/// poll(2) for readability, without a set to keep.
public enum Readiness {
    /// Whether a read would not wait.
    public static func isReadable(_ descriptor: Int32) -> Bool {
        var set = PollSet()
        set.add(descriptor, .readable)
        return set.wait(timeoutMilliseconds: 0) > 0 && set.events(at: 0).contains(.readable)
    }

    /// Waits until one of up to four descriptors is readable; negative ones do not count.
    ///
    /// - Parameter timeout: milliseconds, -1 without end.
    public static func wait(
        _ first: Int32, _ second: Int32 = -1, _ third: Int32 = -1, _ fourth: Int32 = -1,
        timeoutMilliseconds timeout: Int32
    ) {
        var set = PollSet()
        set.add(first, .readable)
        set.add(second, .readable)
        set.add(third, .readable)
        set.add(fourth, .readable)
        _ = set.wait(timeoutMilliseconds: timeout)
    }
}

extension EventDescriptor {
    /// A new eventfd that lives as long as the process, by its number.
    public static func make() throws(KernelError) -> Int32 { try EventDescriptor().take() }

    private consuming func take() throws(KernelError) -> Int32 { try descriptor.duplicate().release() }

    /// Empties an eventfd known by its number.
    public static func drain(_ raw: Int32) {
        var value: UInt64 = 0
        _ = withUnsafeMutableBytes(of: &value) { RawDescriptor.read(raw, into: $0) }
    }
}

extension Fanotify {
    /// Removes all marks of a scope from a group; the queue stays. 0 or a negated errno.
    public static func flush(group: Int32, scope: MarkScope) -> Int32 {
        mark(group: group, .flush, scope: scope, mask: 0, path: "/")
    }

    /// Ignores opens of an event's object until it is written to: an evictable mark, so that the kernel may forget it.
    /// Kernels without evictable marks (before 5.19) get a plain one. 0 or a negated errno.
    public static func ignoreOpens(group: Int32, descriptor: Int32) -> Int32 {
        let result = mark(
            group: group, .add, scope: .inode, options: [.ignoredMask, .evictable], mask: FanotifyMask.openPermission,
            directory: descriptor, path: nil)
        guard result == -22 else { return result }
        return mark(
            group: group, .add, scope: .inode, options: .ignoredMask, mask: FanotifyMask.openPermission,
            directory: descriptor, path: nil)
    }
}

extension PollSet {
    /// Whether anything was found at an entry, end of file and errors included.
    public func isReady(_ index: Int) -> Bool { !events(at: index).isEmpty }
}
