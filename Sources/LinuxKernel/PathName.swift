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
}
