import Glibc
import LinuxKernel

/// Tells when names or mounts that a plan depends on have changed: a notification group on the watched directories, and one on
/// this mount namespace (FAN_MNT_ATTACH, Linux 6.14) or, before, poll(2) on mountinfo, which the kernel marks with POLLPRI at
/// every mount and unmount.
final class NameWatch {
    /// Readable when a watched directory changed.
    let group: Int32
    /// Ready for `mountReadiness` when a mount changed.
    let mounts: Int32
    /// What to wait for on `mounts`.
    let mountReadiness: PollEvents
    private var watched: Set<[UInt8]> = []

    init() throws(KernelError) {
        group = try Fanotify.create(
            [.notificationClass, .reportDFIDName, .closeOnExec, .nonblocking], eventFlags: O_RDONLY | O_CLOEXEC
        ).release()
        if let events = try? Self.mountEvents() {
            (mounts, mountReadiness) = (events, .readable)
        } else {
            (mounts, mountReadiness) = (try MountTable.watch().release(), .priority)
        }
    }

    private static func mountEvents() throws(KernelError) -> Int32 {
        let group = try Fanotify.create([.notificationClass, .reportMount, .closeOnExec, .nonblocking])
        let result = Fanotify.mark(
            group: group.raw, .add, scope: .mountNamespace, mask: FanotifyMask.mountAttach | FanotifyMask.mountDetach,
            path: "/proc/self/ns/mnt")
        guard result == 0 else { throw KernelError("fanotify_mark(FAN_MARK_MNTNS)", errno: -result) }
        return group.release()
    }

    /// Watches these directories and no others any more.
    func watch(_ directories: Set<[UInt8]>) {
        let mask =
            FanotifyMask.create | FanotifyMask.movedTo | FanotifyMask.movedFrom | FanotifyMask.delete
            | FanotifyMask.moveSelf | FanotifyMask.deleteSelf | FanotifyMask.onDirectory
        for directory in watched.subtracting(directories) { mark(directory, .remove, mask) }
        // Again also for known ones: another directory may stand there now.
        for directory in directories { mark(directory, .add, mask) }
        watched = directories
    }

    /// Empties the queues; what they say in detail does not matter, the plan is made anew. (mountinfo's POLLPRI is taken back by
    /// the poll that saw it.)
    func drain() {
        withUnsafeTemporaryAllocation(byteCount: 16384, alignment: 8) { buffer in
            while Fanotify.read(group: group, into: buffer) > 0 {}
            guard mountReadiness == .readable else { return }
            while Fanotify.read(group: mounts, into: buffer) > 0 {}
        }
    }

    private func mark(_ directory: [UInt8], _ operation: MarkOperation, _ mask: UInt64) {
        (directory + [0]).withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { path in
                _ = Fanotify.mark(
                    group: group, operation, scope: .inode, options: .onlyDirectory, mask: mask, path: path.baseAddress)
            }
        }
    }
}
