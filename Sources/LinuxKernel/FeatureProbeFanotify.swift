import CLinux

extension FeatureProbe {
    /// The pid that is probed on: our own.
    var ownPID: Int32 { (try? ProcFS.status(of: KernelThread.currentID).tgid) ?? 0 }

    mutating func probeFanotify() {
        let content: FanotifyFlags = [.contentClass, .closeOnExec, .nonblocking]
        probeGroup("fanotify.permission-class", content)
        probeGroup("fanotify.pre-content-class", [.preContentClass, .closeOnExec, .nonblocking])
        probeGroup("fanotify.unlimited-queue", content.union(.unlimitedQueue))
        probeGroup("fanotify.unlimited-marks", content.union(.unlimitedMarks))
        probeGroup("fanotify.report-tid", content.union(.reportTID))
        probeGroup("fanotify.report-pidfd", content.union(.reportProcessDescriptor))
        probeGroup("fanotify.report-fd-error", content.union(.reportDescriptorError))
        probeGroup("fanotify.report-fid", [.reportFID, .closeOnExec, .nonblocking])
        probeGroup("fanotify.report-dfid-name", [.reportDFIDName, .closeOnExec, .nonblocking])
        let target: FanotifyFlags = [.reportDFIDName, .reportTargetFID, .reportFID, .closeOnExec, .nonblocking]
        probeGroup("fanotify.report-target-fid", target)
        probeMarks()
        probeMountReports()
    }

    private mutating func probeGroup(_ name: String, _ flags: FanotifyFlags) {
        do {
            _ = try Fanotify.create(flags)
            add(name, true, "")
        } catch {
            add(name, false, error.description)
        }
    }

    /// Tries marks on a memfd, a regular file that no other process can open by name. Its superblock is the kernel's
    /// internal one for shared memory: a mark on *that* would concern others, so file system marks are tried with
    /// flags that make the kernel refuse after it has recognised them.
    private mutating func probeMarks() {
        let names = [
            "fanotify.open-permission", "fanotify.open-exec-permission", "fanotify.ignore-mask", "fanotify.ignore",
            "fanotify.evictable", "fanotify.filesystem-mark", "fanotify.pre-access", "fanotify.rename",
        ]
        let flags: FanotifyFlags = [.contentClass, .closeOnExec, .nonblocking]
        do {
            let file = try SharedMemory.create(name: "probe", size: 4096)
            let group = try Fanotify.create(flags)
            let mark = { (options: MarkOptions, mask: UInt64) -> Int32 in
                Fanotify.mark(
                    group: group.raw, .add, scope: .inode, options: options, mask: mask, directory: file.raw, path: nil)
            }
            add(names[0], result: mark([], FanotifyMask.openPermission))
            add(names[1], result: mark([], FanotifyMask.openExecPermission))
            add(names[2], result: mark([.ignoredMask, .ignoreSurvivingModify], FanotifyMask.open))
            _ = Fanotify.mark(
                group: group.raw, .flush, scope: .inode, mask: 0, directory: file.raw, path: nil)
            add(names[3], result: mark([.ignore, .ignoreSurvivingModify], FanotifyMask.open))
            _ = Fanotify.mark(
                group: group.raw, .flush, scope: .inode, mask: 0, directory: file.raw, path: nil)
            add(names[4], result: mark([.ignore, .ignoreSurvivingModify, .evictable], FanotifyMask.open))
            // ENOTDIR: the scope was understood, and the file is no directory.
            let superblock = Fanotify.mark(
                group: group.raw, .add, scope: .filesystem, options: .onlyDirectory, mask: FanotifyMask.openPermission,
                directory: OpenFlags.currentDirectory, path: "/proc/self/status")
            add(names[5], superblock == -20, superblock == -20 ? "" : KernelError.message(-superblock))
        } catch {
            for name in names[results.filter { names.contains($0.name) }.count..<6] {
                add(name, false, error.description)
            }
        }
        probePreAccess(names[6])
        probeRename(names[7])
    }

    /// EOPNOTSUPP on shared memory tells that the bit is known; EINVAL that it is not.
    private mutating func probePreAccess(_ name: String) {
        do {
            let file = try SharedMemory.create(name: "probe", size: 4096)
            let group = try Fanotify.create([.preContentClass, .closeOnExec, .nonblocking])
            let result = Fanotify.mark(
                group: group.raw, .add, scope: .inode, mask: FanotifyMask.preAccess, directory: file.raw, path: nil)
            let known = result == 0 || result == -95
            add(
                name, known,
                result == -95 ? "only on some file systems" : result == 0 ? "" : KernelError.message(-result))
        } catch {
            add(name, false, error.description)
        }
    }

    /// FAN_RENAME must be on a directory: on our own /proc/<pid>/fdinfo the kernel refuses a file system without
    /// handles (ENODEV, EOPNOTSUPP, EXDEV) after it has accepted the mask.
    private mutating func probeRename(_ name: String) {
        do {
            let group = try Fanotify.create([.reportDFIDName, .closeOnExec, .nonblocking])
            let result = Fanotify.mark(
                group: group.raw, .add, scope: .inode, options: .onlyDirectory, mask: FanotifyMask.rename,
                directory: OpenFlags.currentDirectory, path: "/proc/self/fdinfo")
            let known = result == 0 || result == -19 || result == -95 || result == -18
            add(name, known, known ? "" : KernelError.message(-result))
        } catch {
            add(name, false, error.description)
        }
    }

    private mutating func probeMountReports() {
        do {
            let group = try Fanotify.create([.reportMount, .closeOnExec, .nonblocking])
            add("fanotify.report-mount", true, "")
            // Reports are only notifications, and the group goes at once: nothing waits on it.
            let result = Fanotify.mark(
                group: group.raw, .add, scope: .mountNamespace, mask: FanotifyMask.mountAttach,
                directory: OpenFlags.currentDirectory, path: "/proc/self/ns/mnt")
            add("fanotify.mount-namespace-mark", result: result)
        } catch {
            add("fanotify.report-mount", false, error.description)
            add("fanotify.mount-namespace-mark", false, "needs fanotify.report-mount")
        }
    }
}
