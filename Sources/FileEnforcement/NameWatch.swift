import Glibc
import LinuxKernel

/// Tells when names or mounts that a plan depends on have changed: a notification group on the watched directories, and
/// poll(2) on mountinfo, which the kernel marks with POLLPRI at every mount and unmount of this namespace.
final class NameWatch {
    /// Readable when a watched directory changed.
    let group: Int32
    /// POLLPRI when a mount changed.
    let mounts: Int32
    private var watched: Set<[UInt8]> = []

    init() throws(KernelError) {
        group = try Fanotify.create(
            [.notificationClass, .reportDFIDName, .closeOnExec, .nonblocking], eventFlags: O_RDONLY | O_CLOEXEC
        ).release()
        mounts = try MountTable.watch().release()
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

    /// Empties the queue; what it says in detail does not matter, the plan is made anew. (mountinfo's POLLPRI is taken back by
    /// the poll that saw it.)
    func drain() {
        withUnsafeTemporaryAllocation(byteCount: 16384, alignment: 8) { buffer in
            while Fanotify.read(group: group, into: buffer) > 0 {}
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
