import CLinux

/// Identity and attributes of a file system object, from statx(2).
public struct ObjectStatus: Equatable, Sendable {
    /// major << 32 | minor of the file system's device.
    public var device: UInt64 = 0
    /// Unique within `device`, until the object is gone.
    public var inode: UInt64 = 0
    /// Of a device file: major << 32 | minor.
    public var deviceNumber: UInt64 = 0
    /// The mount it was reached through, as in mountinfo(5); 0 if unknown.
    public var mountID: UInt64 = 0
    /// Type and permission bits.
    public var mode: UInt32 = 0
    /// The owner.
    public var uid: UInt32 = 0
    /// The owning group.
    public var gid: UInt32 = 0
    /// The number of hard links.
    public var nlink: UInt32 = 0
    /// In bytes.
    public var size: UInt64 = 0
    /// Creation time in nanoseconds since the epoch, where the file system keeps it; tells a reused inode number.
    public var btime: Int64?

    /// All zero.
    public init() {}

    init(_ raw: pc_object_status) {
        device = raw.device
        inode = raw.inode
        deviceNumber = raw.device_number
        mountID = raw.mount_id
        mode = raw.mode
        uid = raw.uid
        gid = raw.gid
        nlink = raw.nlink
        size = raw.size
        btime =
            raw.has_birth_time == 0
            ? nil : raw.birth_seconds &* 1_000_000_000 &+ Int64(raw.birth_nanoseconds)
    }

    /// S_ISREG.
    public var isRegularFile: Bool { mode & 0o170000 == 0o100000 }
    /// S_ISDIR.
    public var isDirectory: Bool { mode & 0o170000 == 0o040000 }
    /// S_ISLNK.
    public var isSymbolicLink: Bool { mode & 0o170000 == 0o120000 }
    /// S_ISCHR.
    public var isCharacterDevice: Bool { mode & 0o170000 == 0o020000 }
    /// S_ISFIFO.
    public var isPipe: Bool { mode & 0o170000 == 0o010000 }
    /// S_ISSOCK.
    public var isSocket: Bool { mode & 0o170000 == 0o140000 }
    /// The high half of `device`.
    public var deviceMajor: UInt32 { UInt32(truncatingIfNeeded: device >> 32) }
    /// The low half of `device`.
    public var deviceMinor: UInt32 { UInt32(truncatingIfNeeded: device) }
    /// Whether two statuses are of the same object (device, inode and, where both have it, creation time).
    public func isSameObject(as other: ObjectStatus) -> Bool {
        guard device == other.device, inode == other.inode else { return false }
        guard let mine = btime, let theirs = other.btime else { return true }
        return mine == theirs
    }

    /// The hot path: 0, or a negated errno and `into` unchanged. Allocates nothing.
    public static func read(descriptor: Int32, into status: inout ObjectStatus) -> Int32 {
        var raw = pc_object_status()
        let result = pc_descriptor_status(descriptor, &raw)
        if result == 0 { status = ObjectStatus(raw) }
        return result
    }

    /// The same for a path below a directory. 0 or a negated errno.
    public static func read(
        directory: Int32 = OpenFlags.currentDirectory, path: UnsafePointer<CChar>, follow: Bool,
        into status: inout ObjectStatus
    ) -> Int32 {
        var raw = pc_object_status()
        let result = pc_object_status(directory, path, follow ? 1 : 0, &raw)
        if result == 0 { status = ObjectStatus(raw) }
        return result
    }

    /// The status of an open descriptor, O_PATH ones included.
    public static func of(descriptor: Int32) throws(KernelError) -> ObjectStatus {
        var status = ObjectStatus()
        try KernelError.check("statx", read(descriptor: descriptor, into: &status))
        return status
    }

    /// The status of a path; `follow` = false stops at a final symbolic link.
    public static func of(
        directory: Int32 = OpenFlags.currentDirectory, path: UnsafePointer<CChar>, follow: Bool = true
    ) throws(KernelError) -> ObjectStatus {
        var status = ObjectStatus()
        try KernelError.check("statx", read(directory: directory, path: path, follow: follow, into: &status))
        return status
    }

    /// The mount id of an open descriptor from /proc/self/fdinfo, which `read` falls back to before Linux 5.8.
    static func mountIDFromFdinfo(of descriptor: Int32) throws(KernelError) -> UInt64 {
        var id: UInt64 = 0
        try KernelError.check("read /proc/self/fdinfo", pc_mount_id_from_fdinfo(descriptor, &id))
        return id
    }
}
