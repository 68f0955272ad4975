import CLinux

/// One line of mountinfo (proc(5)). Paths are bytes, with the kernel's octal escapes undone.
public struct MountEntry: Equatable, Sendable {
    /// The mount's id, as in statx; reused after an unmount.
    public var id: UInt64
    /// The id of the mount it is on.
    public var parent: UInt64
    /// The file system's device.
    public var major: UInt32
    /// The file system's device.
    public var minor: UInt32
    /// The directory of the file system that is mounted.
    public var root: [UInt8]
    /// Where, relative to the reading process's root.
    public var mountPoint: [UInt8]
    /// Per-mount options: "rw,relatime".
    public var options: [UInt8]
    /// shared:N, master:N, propagate_from:N, unbindable.
    public var propagation: [[UInt8]]
    /// The file system type.
    public var type: [UInt8]
    /// What is mounted: a device, or whatever the mounter said.
    public var device: [UInt8]
    /// Per-superblock options.
    public var superOptions: [UInt8]

    /// major << 32 | minor, comparable with `ObjectStatus.device`.
    public var deviceNumber: UInt64 { UInt64(major) << 32 | UInt64(minor) }
    /// Whether the mount (not only its file system) is read-only.
    public var isReadOnly: Bool { options.starts(with: Array("ro".utf8)) && (options.count == 2 || options[2] == 0x2c) }
}

/// The mounts of a mount namespace. Allocates; not for hot paths.
public enum MountTable {
    /// Bytes of a mountinfo file that are read at most; the kernel allows 100 000 mounts by default.
    public static let limit = 64 << 20

    /// The mounts a process sees; our own for nil. EFBIG beyond `limit`, EPROTO for a line that is not understood: a
    /// table with a hole must not be taken for the whole.
    public static func read(of pid: Int32? = nil) throws(KernelError) -> [MountEntry] {
        let file: Descriptor
        if let pid {
            file = try ProcFS.open(of: pid, "mountinfo")
        } else {
            file = try watch()
        }
        return try parse(try file.readAll(limit: limit))
    }

    /// A descriptor of /proc/self/mountinfo, or another process's, that poll(2) reports POLLPRI on when the table
    /// changes. It is readable at any time: wait with `PollEvents.priority`.
    public static func watch(of pid: Int32? = nil) throws(KernelError) -> Descriptor {
        if let pid { return try ProcFS.open(of: pid, "mountinfo") }
        return try PathOpening.open("/proc/self/mountinfo", flags: OpenFlags.readOnly)
    }

    /// The never reused id of a mount (STATX_MNT_ID_UNIQUE, Linux 6.8), which `FanotifyRecord.mountID` holds.
    /// EOPNOTSUPP before.
    public static func uniqueID(of descriptor: Int32) throws(KernelError) -> UInt64 {
        var id: UInt64 = 0
        try KernelError.check("statx(STATX_MNT_ID_UNIQUE)", pc_unique_mount_id(descriptor, "", 0, &id))
        return id
    }

    /// Parses the text of a mountinfo file. EPROTO for a line that is not understood.
    public static func parse(_ text: [UInt8]) throws(KernelError) -> [MountEntry] {
        var entries: [MountEntry] = []
        for line in text.split(separator: UInt8(ascii: "\n")) {
            guard let entry = entry(line) else { throw KernelError("parse mountinfo", errno: 71) }
            entries.append(entry)
        }
        return entries
    }

    private static func entry(_ line: ArraySlice<UInt8>) -> MountEntry? {
        let fields = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        // 36 35 98:0 /root /point options [optional ...] - type source superoptions
        guard fields.count >= 10, let dash = fields[6...].firstIndex(where: { $0.elementsEqual("-".utf8) }),
            fields.count >= dash + 4, let id = decimal(fields[0]), let parent = decimal(fields[1])
        else { return nil }
        let device = fields[2].split(separator: UInt8(ascii: ":"))
        guard device.count == 2, let major = decimal(device[0]).flatMap({ UInt32(exactly: $0) }),
            let minor = decimal(device[1]).flatMap({ UInt32(exactly: $0) })
        else { return nil }
        return MountEntry(
            id: id, parent: parent, major: major, minor: minor, root: unescape(fields[3]),
            mountPoint: unescape(fields[4]), options: Array(fields[5]), propagation: fields[6..<dash].map { Array($0) },
            type: unescape(fields[dash + 1]), device: unescape(fields[dash + 2]),
            superOptions: unescape(fields[dash + 3]))
    }

    private static func decimal(_ text: ArraySlice<UInt8>) -> UInt64? {
        text.withUnsafeBytes { ByteText.decimal($0) }
    }

    /// Undoes \040 (blank), \011 (tab), \012 (newline), \134 (backslash) and any other three octal digits.
    static func unescape(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var index = text.startIndex
        while index < text.endIndex {
            let byte = text[index]
            if byte == UInt8(ascii: "\\"), index + 3 < text.endIndex {
                let digits = text[(index + 1)...(index + 3)]
                if digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x37 }) {
                    let value = digits.reduce(0) { $0 << 3 | Int($1 - 0x30) }
                    if value <= 255 {
                        result.append(UInt8(value))
                        index += 4
                        continue
                    }
                }
            }
            result.append(byte)
            index += 1
        }
        return result
    }
}
