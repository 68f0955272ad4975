import CLinux

/// Names of objects, as bytes in the caller's buffer.
public enum PathName {
    /// readlink(2) of /proc/self/fd/<descriptor>: the length or a negated errno (ENAMETOOLONG if it did not fit). A
    /// deleted object's name ends in " (deleted)"; one not reachable from our root starts with "(unreachable)".
    public static func ofDescriptor(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        guard let base = buffer.baseAddress else { return -36 }
        return pc_descriptor_path(ProcFS.root, descriptor, base, buffer.count)
    }

    /// readlinkat(2): the length or a negated errno. Not terminated.
    public static func readLink(
        directory: Int32 = OpenFlags.currentDirectory, _ path: UnsafePointer<CChar>,
        into buffer: UnsafeMutableRawBufferPointer
    ) -> Int {
        guard let base = buffer.baseAddress else { return -36 }
        return pc_readlink(directory, path, base, buffer.count)
    }

    /// What an object is called below a mount of its file system, whatever mount it was opened through: the length, or a negated errno (ENODEV: the
    /// mount is of another file system; ENOENT: it has no name there; EOPNOTSUPP: the file system has no handles). The thread's current directory
    /// is `/` afterwards. An object without links keeps its mark, " (deleted)".
    ///
    /// - Parameter mountPoint: ended by a zero byte.
    public static func ofObject(
        _ object: Int32, below mountPoint: UnsafePointer<CChar>, into buffer: UnsafeMutableRawBufferPointer
    ) -> Int {
        guard let base = buffer.baseAddress, buffer.count > 1 else { return -36 }
        return pc_name_in_mount(
            ProcFS.root, mountPoint, object, base.assumingMemoryBound(to: CChar.self), buffer.count)
    }

    /// Gives the calling thread a root and a current directory of its own: 0 or a negated errno.
    public static func separateDirectories() -> Int32 { pc_identity_begin() }
}
