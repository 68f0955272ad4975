import LinuxKernel
import PolicyEngine

/// By what the threads that decide know whose an event is. The object counts first: the mount that it was reached through, then its file
/// system, where that is the container's alone, so that mounts which a process of the container makes for itself change nothing. Only for what was
/// reached through a mount that nobody knows the thread is asked: for its namespaces, then for its cgroup.
package struct ContainerTable: Sendable {
    private let table = ConcurrentTable()

    /// What a container can be known by.
    package enum Key: Sendable, Hashable {
        /// A mount, and the device of its file system: numbers of mounts come again.
        case mount(UInt64, device: UInt64)
        /// A file system that nobody else has.
        case device(UInt64)
        /// Inode of a namespace: of its mounts or processes.
        case namespace(UInt64)
        /// A control group, by the bytes of its path.
        case group(ControlGroupHash)
        /// Its number as a workload.
        case workload(UInt64)

        fileprivate var words: (UInt64, UInt64) {
            switch self {
            case .mount(let id, let device): (id, device & ~Self.tag)
            case .device(let device): (device, Self.tag)
            case .namespace(let inode): (inode, Self.tag | 1)
            case .workload(let number): (number, Self.tag | 2)
            case .group(let hash): (hash.first, hash.second << 2 | Self.tag | 3)
            }
        }

        /// No device number (`ObjectStatus.device`) has this bit: majors have twelve.
        private static let tag: UInt64 = 1 << 63
    }

    /// There is no container.
    @inline(__always) var isEmpty: Bool { table.isEmpty }

    /// The container that is known by something.
    @inline(__always)
    func find(_ key: Key) -> ContainerSlot? {
        let (first, second) = key.words
        return table.find(first, second).flatMap(ContainerSlot.init(word:))
    }

    /// What a container is decided with; `nil` for one that is not known.
    @inline(__always)
    package func view(of workload: UInt64) -> UnsafePointer<EnforcementState>? { find(.workload(workload))?.state }

    /// The container of an object that an event is about, or of the thread that asks for it.
    ///
    /// - Parameter isHost: whether a mount is one of the host's.
    @inline(__always)
    func container(of object: ObjectStatus, thread: Int32, isHost: (UInt64) -> Bool) -> ContainerSlot? {
        if let slot = find(.mount(object.mountID, device: object.device)) { return slot }
        if isHost(object.mountID) { return nil }
        return find(.device(object.device)) ?? container(of: thread)
    }

    /// The container of a thread: of its mounts, of its processes, of its control group or one above it.
    func container(of thread: Int32) -> ContainerSlot? {
        var namespace = ObjectStatus()
        if ProcFS.object(of: thread, "ns/mnt", into: &namespace) == 0, let slot = find(.namespace(namespace.inode)) {
            return slot
        }
        if ProcFS.object(of: thread, "ns/pid", into: &namespace) == 0, let slot = find(.namespace(namespace.inode)) {
            return slot
        }
        var found: ContainerSlot?
        ControlGroups.forEachPath(of: thread) { path in
            ControlGroups.forEachGroup(above: path) { group in
                // The narrowest counts: a container in a container is one of its own, if it is known.
                if let slot = find(.group(ControlGroupHash(group))) { found = slot }
                return true
            }
            return found == nil
        }
        return found
    }

    // MARK: - Control thread

    /// Has a container known by something, and no other one.
    func set(_ key: Key, _ slot: ContainerSlot, grace: () -> Void) {
        let (first, second) = key.words
        table.insert(first, second, value: slot.word, grace: grace)
    }

    /// Has it known by that no more.
    func clear(_ key: Key, _ slot: ContainerSlot) {
        let (first, second) = key.words
        if table.find(first, second) == slot.word { table.remove(first, second) }
    }
}

/// Stands for the path of a control group: 112 bits of it, which whoever may make groups would have to hit.
package struct ControlGroupHash: Sendable, Hashable {
    fileprivate let first: UInt64
    fileprivate let second: UInt64

    /// FNV-1a from two beginnings.
    package init(_ path: UnsafeRawBufferPointer) {
        var (one, other): (UInt64, UInt64) = (0xCBF2_9CE4_8422_2325, 0x9AE1_6A3B_2F90_404F)
        for byte in path {
            one = (one ^ UInt64(byte)) &* 0x100_0000_01B3
            other = (other ^ UInt64(byte) ^ one >> 32) &* 0x9E37_79B9_7F4A_7C15
        }
        (first, second) = (one, other >> 13)
    }
}
