import Glibc
import LinuxKernel

/// Tells when names or mounts that a plan depends on have changed: a notification group on the watched directories (before Linux 5.9
/// inotify(7), which needs an open directory each time), and one on this mount namespace (FAN_MNT_ATTACH, Linux 6.14) or, before, poll(2) on mountinfo, which the kernel marks with POLLPRI at
/// every mount and unmount.
final class NameWatch {
    /// Readable when a watched directory changed.
    let group: Int32
    /// Ready for `mountReadiness` when a mount changed.
    let mounts: Int32
    /// What to wait for on `mounts`.
    let mountReadiness: PollEvents
    private var watched: Set<[UInt8]> = []
    /// What watches the directories where fanotify cannot; with the number of each watch.
    private let inotify: Inotify?
    private var watches: [[UInt8]: Int32] = [:]

    init(_ features: EventFeatures) throws(KernelError) {
        if features.tellsNames {
            inotify = nil
            group = try Fanotify.create(
                [.notificationClass, .reportDFIDName, .closeOnExec, .nonblocking], eventFlags: O_RDONLY | O_CLOEXEC
            ).release()
        } else {
            let instance = try Inotify()
            group = instance.descriptor.raw
            inotify = consume instance
        }
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
        if inotify != nil { return watchByInotify(directory, operation) }
        (directory + [0]).withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { path in
                _ = Fanotify.mark(
                    group: group, operation, scope: .inode, options: .onlyDirectory, mask: mask, path: path.baseAddress)
            }
        }
    }

    private static let nameChanges: InotifyMask = [
        .create, .movedTo, .movedFrom, .delete, .moveSelf, .deleteSelf, .onlyDirectory,
    ]

    private func watchByInotify(_ directory: [UInt8], _ operation: MarkOperation) {
        if operation == .remove {
            if let watch = watches.removeValue(forKey: directory) { try? inotify?.remove(watch) }
            return
        }
        (directory + [0]).withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { path in
                guard let path = path.baseAddress else { return }
                watches[directory] = try? inotify?.add(path, Self.nameChanges)
            }
        }
    }
}
