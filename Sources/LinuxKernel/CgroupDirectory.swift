import CLinux
import Glibc

/// A directory of a cgroup hierarchy.
public struct CgroupDirectory: Equatable, Sendable {
    /// Where it is in the file system.
    public let path: String
    /// The number by which the kernel knows it, of version 2 as nf_tables compares it.
    public let id: UInt64
    /// How many directories it is below the hierarchy's root.
    public let level: UInt32

    /// Which hierarchy.
    public enum Hierarchy: Sendable {
        case unified, netClass

        /// Whether a mount shows the whole of it.
        func isShown(by mount: MountEntry) -> Bool {
            guard mount.root == [UInt8(ascii: "/")] else { return false }
            switch self {
            case .unified: return mount.type == Array("cgroup2".utf8)
            case .netClass:
                return mount.type == Array("cgroup".utf8)
                    && mount.superOptions.split(separator: UInt8(ascii: ",")).contains {
                        $0.elementsEqual("net_cls".utf8)
                    }
            }
        }
    }

    /// The directory of a path of `ProcessCgroups`; ENOENT when its hierarchy is not mounted.
    public init(_ hierarchy: Hierarchy, _ path: String) throws(KernelError) {
        guard let mount = try MountTable.read().last(where: hierarchy.isShown) else {
            throw KernelError("find cgroups", errno: ENOENT)
        }
        let parts = path.split(separator: "/")
        try self.init(
            path: ([String(decoding: mount.mountPoint, as: UTF8.self)] + parts.map(String.init)).joined(separator: "/"),
            level: UInt32(parts.count))
    }

    private init(path: String, level: UInt32) throws(KernelError) {
        self.path = path
        self.level = level
        id = try ObjectStatus.of(path: path, follow: false).inode
    }

    /// A new directory in this one, or the one that is there.
    public func child(_ name: String) throws(KernelError) -> CgroupDirectory {
        let child = path + "/" + name
        if mkdir(child, 0o755) != 0, errno != EEXIST { throw KernelError("mkdir cgroup", errno: errno) }
        return try CgroupDirectory(path: child, level: level + 1)
    }

    /// Moves a process here, with all its threads.
    public func add(_ pid: Int32) throws(KernelError) { try write("\(pid)", to: "cgroup.procs") }

    /// The processes in it, without those in directories below.
    public func processes() throws(KernelError) -> [Int32] {
        String(decoding: try PathOpening.read(path + "/cgroup.procs", limit: 1 << 24), as: UTF8.self)
            .split(separator: "\n").compactMap { Int32($0) }
    }

    /// The class of its sockets, of net_cls; 0 for none.
    public func netClass() throws(KernelError) -> UInt32 {
        let text = String(decoding: try PathOpening.read(path + "/net_cls.classid", limit: 64), as: UTF8.self)
        return UInt32(text.prefix { $0 != "\n" }) ?? 0
    }

    /// Gives its sockets a class.
    public func setNetClass(_ id: UInt32) throws(KernelError) { try write("\(id)", to: "net_cls.classid") }

    /// Removes it, if nothing is in it any more. EBUSY otherwise.
    public func remove() throws(KernelError) { try Self.remove(path) }

    /// The same by its path.
    public static func remove(_ path: String) throws(KernelError) {
        if rmdir(path) != 0, errno != ENOENT { throw KernelError("rmdir cgroup", errno: errno) }
    }

    private func write(_ text: String, to name: String) throws(KernelError) {
        let file = try PathOpening.open(path + "/" + name, flags: OpenFlags.writeOnly)
        let result = Array(text.utf8).withUnsafeBytes { file.write($0) }
        if result < 0 { throw KernelError("write to a cgroup", errno: Int32(-result)) }
    }
}
