import CLinux

/// RESOLVE_* of openat2(2), Linux 5.6.
public struct ResolveFlags: OptionSet, Sendable {
    /// The bits as the kernel has them.
    public let rawValue: UInt64
    /// From the kernel's bits.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// RESOLVE_NO_XDEV: no mount is crossed.
    public static let noCrossMounts = ResolveFlags(rawValue: 0x1)
    /// RESOLVE_NO_MAGICLINKS.
    public static let noMagicLinks = ResolveFlags(rawValue: 0x2)
    /// RESOLVE_NO_SYMLINKS.
    public static let noSymbolicLinks = ResolveFlags(rawValue: 0x4)
    /// RESOLVE_BENEATH.
    public static let beneath = ResolveFlags(rawValue: 0x8)
    /// RESOLVE_IN_ROOT.
    public static let inRoot = ResolveFlags(rawValue: 0x10)
    /// RESOLVE_CACHED, Linux 5.12.
    public static let cached = ResolveFlags(rawValue: 0x20)
}

/// Opening files relative to a directory descriptor. Every descriptor is close-on-exec.
public enum PathOpening {
    /// openat(2).
    public static func open(
        directory: Int32 = OpenFlags.currentDirectory, _ path: UnsafePointer<CChar>, flags: Int32, mode: UInt32 = 0
    ) throws(KernelError) -> Descriptor {
        Descriptor(owning: try KernelError.check("openat", pc_openat(directory, path, flags, mode)))
    }

    /// openat2(2); ENOSYS before Linux 5.6.
    public static func open(
        directory: Int32 = OpenFlags.currentDirectory, _ path: UnsafePointer<CChar>, flags: Int32, mode: UInt32 = 0,
        resolve: ResolveFlags
    ) throws(KernelError) -> Descriptor {
        let result = pc_openat2(
            directory, path, UInt64(UInt32(bitPattern: flags)), UInt64(mode), resolve.rawValue)
        return Descriptor(owning: try KernelError.check("openat2", result))
    }

    /// Opens, reads at most `limit` bytes (EFBIG beyond) and closes.
    public static func read(
        directory: Int32 = OpenFlags.currentDirectory, _ path: UnsafePointer<CChar>, limit: Int
    ) throws(KernelError) -> [UInt8] {
        let file = try open(directory: directory, path, flags: OpenFlags.readOnly)
        return try file.readAll(limit: limit)
    }
}
