import Glibc
import LinuxKernel

/// The real filesystem, as the planner and the indexer see it. Used by the control thread only: opening a directory raises
/// a permission event that the permission thread answers.
public struct HostFilesystem: FilesystemView {
    /// Filesystems whose inodes come and go, or whose marking could make the permission thread wait for itself.
    private static let unmarkable: Set<String> = [
        "proc", "sysfs", "cgroup", "cgroup2", "devpts", "securityfs", "debugfs", "tracefs", "bpf", "configfs", "mqueue",
        "binfmt_misc", "autofs", "pstore", "efivarfs", "fusectl", "selinuxfs", "nsfs", "rpc_pipefs", "hugetlbfs",
    ]

    /// The host's mounts at the time of creation.
    public let mounts: [MountEntry]

    /// Devices of file systems that others use too.
    private let shared: Set<UInt64>
    /// By mount, the device of its file system. Overlays and Btrfs have objects that say another one.
    private let devices: [UInt64: UInt64]

    /// Reads the mounts of the process's own namespace.
    public init() throws(KernelError) { self.init(mounts: try MountTable.read()) }

    /// For a root directory of another namespace, whose mounts these are.
    package init(mounts: [MountEntry], shared: Set<UInt64> = []) {
        self.mounts = mounts
        self.shared = shared
        devices = Dictionary(mounts.map { ($0.id, $0.deviceNumber) }, uniquingKeysWith: { _, last in last })
    }

    /// Pins the object with O_PATH; raises no permission event.
    public mutating func object(at path: [UInt8]) -> ViewedObject? {
        guard let descriptor = Self.pin(path) else { return nil }
        defer { RawDescriptor.close(descriptor) }
        var status = ObjectStatus()
        guard ObjectStatus.read(descriptor: descriptor, into: &status) == 0,
            let canonical = Self.name(of: descriptor)
        else { return nil }
        return ViewedObject(
            device: devices[status.mountID] ?? status.device, canonicalPath: canonical, isDirectory: status.isDirectory)
    }

    /// Walks the tree; opening a directory raises a permission event that the permission thread answers.
    public mutating func directories(under path: [UInt8], limit: Int) -> [[UInt8]]? {
        var found: [[UInt8]] = []
        let complete = DirectoryWalk.run(path, recursive: true) { entry in
            if entry.isDirectory {
                found.append(entry.path)
                return found.count <= limit
            }
            return true
        }
        return complete ? found : nil
    }

    /// Walks the tree, as `directories` does.
    public mutating func hasFilesOfManyNames(_ path: [UInt8], recursive: Bool) -> Bool {
        !DirectoryWalk.run(path, recursive: recursive) { $0.isDirectory || $0.status.nlink < 2 }
    }

    /// Superblocks of the mounts at creation, those that are reachable.
    public mutating func superblocks() -> [Superblock] {
        var result: [Superblock] = []
        var seen: [UInt64: Int] = [:]
        for entry in mounts {
            guard let descriptor = Self.pin(entry.mountPoint) else { continue }
            defer { RawDescriptor.close(descriptor) }
            var status = ObjectStatus()
            // A later mount may cover this one: then the path leads to another superblock.
            guard ObjectStatus.read(descriptor: descriptor, into: &status) == 0, status.mountID == entry.id else {
                continue
            }
            if let known = seen[entry.deviceNumber] {
                result[known].otherMountPoints.append(entry.mountPoint)
                continue
            }
            seen[entry.deviceNumber] = result.count
            result.append(
                Superblock(
                    device: entry.deviceNumber, mountPoint: entry.mountPoint,
                    isMarkable: Self.isMarkable(entry), isShared: shared.contains(entry.deviceNumber)))
            result[result.count - 1].splitsNames = entry.type.elementsEqual("overlay".utf8)
        }
        return result
    }

    /// Whether permission marks on a mount's file system are reliable and safe.
    static func isMarkable(_ entry: MountEntry) -> Bool {
        !unmarkable.contains(String(decoding: entry.type, as: UTF8.self))
    }

    /// An OpenFlags.path descriptor of what stands at a path; raises no permission event.
    static func pin(_ path: [UInt8]) -> Int32? {
        let descriptor = (path + [0]).withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { text -> Int32 in
                guard let base = text.baseAddress else { return -1 }
                return open(base, OpenFlags.path | O_CLOEXEC)
            }
        }
        return descriptor >= 0 ? descriptor : nil
    }

    /// The kernel's name for an open object.
    static func name(of descriptor: Int32) -> [UInt8]? {
        withUnsafeTemporaryAllocation(byteCount: 4200, alignment: 1) { buffer in
            let length = PathName.ofDescriptor(descriptor, into: buffer)
            return length > 0 && length < buffer.count ? [UInt8](buffer[0..<length]) : nil
        }
    }
}

/// A walk over a directory tree that stays on one superblock and follows no symlink.
enum DirectoryWalk {
    struct Entry {
        var path: [UInt8]
        var isDirectory: Bool
        var status: ObjectStatus
        /// Hash of the object's file handle.
        var handle: UInt64
    }

    /// Calls `body` for the root and every regular file and directory below it, until it returns false.
    ///
    /// - Returns: false when `body` stopped the walk.
    static func run(_ root: [UInt8], recursive: Bool, _ body: (Entry) -> Bool) -> Bool {
        guard let descriptor = HostFilesystem.pin(root) else { return true }
        var status = ObjectStatus()
        let result = ObjectStatus.read(descriptor: descriptor, into: &status)
        let handle = FileHandle.hash(ofDescriptor: descriptor)
        RawDescriptor.close(descriptor)
        guard result == 0 else { return true }
        guard body(Entry(path: root, isDirectory: status.isDirectory, status: status, handle: handle)) else {
            return false
        }
        guard status.isDirectory else { return true }
        var pending = [root]
        while let directory = pending.popLast() {
            guard list(directory, device: status.device, recursive: recursive, pending: &pending, body) else {
                return false
            }
        }
        return true
    }

    private static func list(
        _ directory: [UInt8], device: UInt64, recursive: Bool, pending: inout [[UInt8]], _ body: (Entry) -> Bool
    ) -> Bool {
        let opened = (directory + [0]).withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { text -> Int32 in
                guard let base = text.baseAddress else { return -1 }
                return open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
            }
        }
        guard opened >= 0, let stream = fdopendir(opened) else {
            if opened >= 0 { RawDescriptor.close(opened) }
            return true
        }
        defer { closedir(stream) }
        let prefix = directory == [UInt8(ascii: "/")] ? directory : directory + [UInt8(ascii: "/")]
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                tuple.withMemoryRebound(to: UInt8.self, capacity: 256) {
                    Array(
                        UnsafeBufferPointer(
                            start: $0, count: strlen(tuple.withMemoryRebound(to: CChar.self, capacity: 256) { $0 })))
                }
            }
            if name == [UInt8(ascii: ".")] || name == [UInt8(ascii: "."), UInt8(ascii: ".")] { continue }
            let type = Int32(entry.pointee.d_type)
            guard type == Int32(DT_REG) || type == Int32(DT_DIR) || type == Int32(DT_UNKNOWN) else { continue }
            let pinned = (name + [0]).withUnsafeBufferPointer { bytes in
                bytes.withMemoryRebound(to: CChar.self) { text -> Int32 in
                    guard let base = text.baseAddress else { return -1 }
                    return openat(opened, base, OpenFlags.path | O_CLOEXEC | O_NOFOLLOW)
                }
            }
            guard pinned >= 0 else { continue }
            var status = ObjectStatus()
            let result = ObjectStatus.read(descriptor: pinned, into: &status)
            let handle = FileHandle.hash(ofDescriptor: pinned)
            RawDescriptor.close(pinned)
            guard result == 0, status.device == device, status.isDirectory || status.isRegularFile else { continue }
            let path = prefix + name
            guard body(Entry(path: path, isDirectory: status.isDirectory, status: status, handle: handle)) else {
                return false
            }
            if recursive && status.isDirectory { pending.append(path) }
        }
        return true
    }
}
