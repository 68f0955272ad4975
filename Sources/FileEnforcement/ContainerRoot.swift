import Glibc
import LinuxKernel

/// What has to be known of a container to decide by the names that it sees itself, and to know what is its own.
package struct ContainerRoot: Sendable {
    /// O_PATH of its root directory; owned by whoever made this.
    package var root: Int32
    /// The mounts below its root, as it sees them.
    package var mounts: [MountEntry]
    /// Devices of the file systems among them that the host or another container uses too.
    package var shared: Set<UInt64>
    /// Inodes of the namespaces of mounts and processes that are its own.
    package var namespaces: [UInt64]
    /// Paths of its own control groups.
    package var groups: [[UInt8]]
    /// The process that is going to execute its program; `nil` when that was done.
    package var starter: ContainerSlot.Starter?

    /// Where the host has what is a container's own. Empty where nobody says.
    package struct Places: Sendable {
        /// Its root directory, which is where the process sees it, too, until the runtime has made it the root.
        var root: [UInt8]
        /// A directory below which the engine mounts file systems for it.
        var bundle: [UInt8]

        package init(root: [UInt8] = [], bundle: [UInt8] = []) { (self.root, self.bundle) = (root, bundle) }

        /// Whether what is mounted somewhere is the container's.
        func have(_ mountPoint: [UInt8]) -> Bool {
            !root.isEmpty && MarkPlanner.isInside(mountPoint, root)
                || !bundle.isEmpty && mountPoint != bundle && MarkPlanner.isInside(mountPoint, bundle)
        }

        /// The same without symbolic links, as the kernel names mounts.
        var real: Places {
            func real(_ path: [UInt8]) -> [UInt8] {
                var host = HostFilesystem(mounts: [])
                return path.isEmpty ? path : host.object(at: path)?.canonicalPath ?? path
            }
            return Places(root: real(root), bundle: real(bundle))
        }
    }

    /// Looks at a container through a process of it.
    ///
    /// - Parameters:
    ///   - process: its first one.
    ///   - id: as its runtime calls it; control groups are its own if it is in their names.
    ///   - isStarting: its program does not run yet.
    ///   - starter: what sets it up, if that was found out before.
    package init(
        of process: Int32, id: String, places: Places = Places(), isStarting: Bool,
        starter: ContainerSlot.Starter? = nil
    ) throws(KernelError) {
        (mounts, shared, namespaces, groups) = ([], [], [], [])
        root = try Self.open(process, places.root)
        var isDone = false
        defer { if !isDone { RawDescriptor.close(root) } }
        try readMounts(of: process, places: places)
        namespaces = try Self.ownNamespaces(of: process)
        groups = Self.ownGroups(of: process, id: id)
        if isStarting {
            let program = try ProcFS.executableObject(of: process)
            self.starter =
                starter ?? ContainerSlot.Starter(process: process, device: program.device, inode: program.inode)
        }
        isDone = true
    }

    /// The root directory: at a path, if something is mounted there, or else the process's own.
    private static func open(_ process: Int32, _ path: [UInt8]) throws(KernelError) -> Int32 {
        let own = Array("/proc/\(process)/root".utf8)
        if !path.isEmpty, let place = try? pin(own + path) {
            var status = ObjectStatus()
            if ObjectStatus.read(descriptor: place, into: &status) == 0,
                let mount = try? MountTable.read(of: process).first(where: { $0.id == status.mountID }),
                mount.mountPoint.count > 1
            {
                return place
            }
            RawDescriptor.close(place)
        }
        return try pin(own)
    }

    private static func pin(_ path: [UInt8]) throws(KernelError) -> Int32 {
        let result = (path + [0]).withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { text -> Result<Int32, KernelError> in
                guard let base = text.baseAddress else { return .failure(KernelError("open", errno: EINVAL)) }
                do throws(KernelError) {
                    return .success(
                        try PathOpening.open(base, flags: OpenFlags.path | OpenFlags.directory).release())
                } catch { return .failure(error) }
            }
        }
        return try result.get()
    }

    /// Reads the mounts again: they have changed.
    ///
    /// - Parameter places: as for `init`.
    package mutating func readMounts(of process: Int32, places: Places) throws(KernelError) {
        var status = ObjectStatus()
        try KernelError.check("statx", ObjectStatus.read(descriptor: root, into: &status))
        guard let below = Self.mounts(try MountTable.read(of: process), below: status.mountID) else {
            throw KernelError("find the root among the mounts", errno: ENOENT)
        }
        mounts = below
        shared = Self.shared(below, host: try MountTable.read(), places: places.real)
    }

    /// The mounts on a mount and on those on it, itself included, named from there; `nil` when there is no such mount.
    static func mounts(_ all: [MountEntry], below root: UInt64) -> [MountEntry]? {
        guard let top = all.first(where: { $0.id == root }) else { return nil }
        let prefix = top.mountPoint.count > 1 ? top.mountPoint.count : 0
        var inside: Set<UInt64> = [root]
        var result: [MountEntry] = []
        // A mount comes behind the one it is on, but for those that were moved. What covers the root itself is the root before, which a
        // runtime that is just changing it puts there for a moment (pivot_root(2)).
        var rest = all.filter { $0.id == root || $0.parent != root || $0.mountPoint != top.mountPoint }
        while true {
            let found = rest.filter { inside.contains($0.id) || inside.contains($0.parent) }
            if found.isEmpty { break }
            result += found
            inside.formUnion(found.map(\.id))
            rest.removeAll { inside.contains($0.id) }
        }
        return result.map { entry in
            var entry = entry
            let point = entry.mountPoint.dropFirst(prefix)
            entry.mountPoint = point.isEmpty ? [UInt8(ascii: "/")] : Array(point)
            return entry
        }
    }

    /// Which devices are others' too: those that the host has mounted elsewhere than where an engine mounts a container's.
    static func shared(_ mounts: [MountEntry], host: [MountEntry], places: Places) -> Set<UInt64> {
        let elsewhere = host.filter { !places.have($0.mountPoint) }
        return Set(mounts.map(\.deviceNumber)).intersection(elsewhere.map(\.deviceNumber))
    }

    /// EINVAL for a process that has our own mounts: such a one is in no container.
    private static func ownNamespaces(of process: Int32) throws(KernelError) -> [UInt64] {
        func isOwn(_ name: StaticString) throws(KernelError) -> UInt64? {
            var (ours, theirs) = (ObjectStatus(), ObjectStatus())
            try KernelError.check("statx", ProcFS.object(of: getpid(), name, into: &ours))
            try KernelError.check("statx", ProcFS.object(of: process, name, into: &theirs))
            return ours.isSameObject(as: theirs) ? nil : theirs.inode
        }
        guard let mounts = try isOwn("ns/mnt") else {
            throw KernelError("tell the container's mounts from the host's", errno: EINVAL)
        }
        return [mounts] + (try isOwn("ns/pid").map { [$0] } ?? [])
    }

    private static func ownGroups(of process: Int32, id: String) -> [[UInt8]] {
        let name = Array(id.utf8)
        var result: [[UInt8]] = []
        ControlGroups.forEachPath(of: process) { path in
            let path = [UInt8](path)
            if !name.isEmpty, !result.contains(path), path.firstRange(of: name) != nil { result.append(path) }
            return true
        }
        return result
    }
}
