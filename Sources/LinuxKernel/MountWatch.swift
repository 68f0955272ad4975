import CLinux
import Synchronization

/// Tells in which mount namespaces something was mounted or unmounted, of any number of them. Lives as long as the process.
///
/// The kernel says it by POLLPRI on mountinfo, once: whoever polls next is not told again. So nobody may poll the descriptors but the thread that
/// this is: neither poll(2) on an epoll(7) that they are in, nor arming one again.
public final class MountWatch: Sendable {
    private let poll: Int32
    private let changed = Mutex<Set<UInt64>>([])
    /// Readable when `take` has something to give.
    public let descriptor: Int32

    /// - Throws: without descriptors, or a thread.
    public init() throws(KernelError) {
        poll = try KernelError.check("epoll_create1", pc_epoll_create())
        descriptor = try EventDescriptor.make()
        _ = try KernelThread.start(name: "mount-watch") { [self] in run() }
    }

    /// Watches the namespace that a descriptor of `MountTable.watch` is of: from then on, not from before. 0 or a negated errno.
    public func add(_ watched: Int32, tag: UInt64) -> Int32 { pc_epoll_add_priority(poll, watched, tag) }

    /// Watches it no more.
    public func remove(_ watched: Int32) { pc_epoll_remove(poll, watched) }

    /// The tags of those that have changed since the last call.
    public func take() -> Set<UInt64> {
        EventDescriptor.drain(descriptor)
        return changed.withLock { changed in
            defer { changed = [] }
            return changed
        }
    }

    private func run() {
        while true {
            var tag: UInt64 = 0
            let result = pc_epoll_wait(poll, -1, &tag)
            guard result > 0 else { continue }
            let isNew = changed.withLock { $0.insert(tag).inserted }
            if isNew { EventDescriptor.signal(descriptor) }
        }
    }
}
