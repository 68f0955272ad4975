import CLinux

/// What the kernel's fanotify has of that which enforcement rests on, found by trying. For each there is another way, and what is
/// weaker about that is said by `status`.
public struct EventFeatures: Sendable, Equatable {
    /// FAN_MARK_FILESYSTEM, Linux 4.20. Otherwise mounts are marked.
    public var marksFilesystems = true
    /// FAN_OPEN_EXEC_PERM, Linux 5.0. Otherwise executions are opens, and told apart by the call that the thread waits in.
    public var tellsExecutions = true
    /// FAN_REPORT_TID, Linux 4.20. Otherwise events name the process, and the thread is looked for.
    public var tellsThreads = true
    /// FAN_REPORT_DFID_NAME, Linux 5.9. Otherwise inotify(7) tells of changed names.
    public var tellsNames = true

    /// All of them.
    public init() {}

    /// Tries each, on objects that nobody else opens.
    public static func probe() -> EventFeatures {
        var features = EventFeatures()
        let content: FanotifyFlags = [.contentClass, .closeOnExec, .nonblocking]
        features.tellsThreads = (try? Fanotify.create(content.union(.reportTID))) != nil
        features.tellsNames =
            (try? Fanotify.create([.notificationClass, .reportDFIDName, .closeOnExec, .nonblocking])) != nil
        guard let group = try? Fanotify.create(content) else { return features }
        // ENOTDIR: the scope was understood, and the file is no directory.
        let superblock = Fanotify.mark(
            group: group.raw, .add, scope: .filesystem, options: .onlyDirectory, mask: FanotifyMask.openPermission,
            path: "/proc/self/status")
        features.marksFilesystems = superblock == -20
        if let file = try? SharedMemory.create(name: "probe", size: 4096) {
            features.tellsExecutions =
                Fanotify.mark(
                    group: group.raw, .add, scope: .inode, mask: FanotifyMask.openExecPermission, directory: file.raw,
                    path: nil) == 0
        }
        return features
    }
}
