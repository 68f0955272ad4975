import CLinux

/// Read leases (fcntl(2) F_SETLEASE): while one is held, a process that opens the file for writing waits, or gets EAGAIN
/// if it does not want to. On the descriptor of an exec event it keeps the content still until it is checked. A
/// broken lease raises SIGURG, which does nothing unless somebody handles it.
public enum FileLease {
    /// Takes a read lease: 0 or a negated errno. EAGAIN: somebody has the file open for writing.
    public static func takeRead(descriptor: Int32) -> Int32 { pc_take_read_lease(descriptor) }
    /// Gives the lease up: 0 or a negated errno.
    public static func release(descriptor: Int32) -> Int32 { pc_release_lease(descriptor) }
}
