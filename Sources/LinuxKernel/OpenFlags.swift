import CLinux
import Glibc

/// The open(2) constants that enforcement works with; those that differ between architectures come from the C library.
public enum OpenFlags {
    /// AT_FDCWD.
    public static let currentDirectory: Int32 = -100
    /// O_RDONLY.
    public static let readOnly: Int32 = 0
    /// O_WRONLY.
    public static let writeOnly: Int32 = 1
    /// O_RDWR.
    public static let readWrite: Int32 = 2
    /// O_ACCMODE.
    public static let accessMode: Int32 = 3
    /// O_CREAT.
    public static let create: Int32 = O_CREAT
    /// O_EXCL.
    public static let exclusive: Int32 = O_EXCL
    /// O_TRUNC.
    public static let truncate: Int32 = O_TRUNC
    /// O_APPEND.
    public static let append: Int32 = O_APPEND
    /// O_NONBLOCK.
    public static let nonblocking: Int32 = O_NONBLOCK
    /// O_CLOEXEC.
    public static let closeOnExec: Int32 = O_CLOEXEC
    /// O_DIRECTORY.
    public static let directory: Int32 = O_DIRECTORY
    /// O_NOFOLLOW.
    public static let noFollow: Int32 = O_NOFOLLOW
    /// O_PATH.
    public static let path: Int32 = pc_open_path()
    /// The kernel's O_LARGEFILE, which the C library defines as 0 on 64-bit machines.
    public static let largeFile: Int32 = kernelLargeFile

    #if arch(arm64)
        private static let kernelLargeFile: Int32 = 0o400000
    #else
        private static let kernelLargeFile: Int32 = 0o100000
    #endif
}
