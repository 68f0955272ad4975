import CLinux
import Glibc

/// Lets one thread act on files as somebody else: with that thread's ids, groups, umask and root, and with the capabilities it has
/// in effect, as far as we have them too. It never has a right that the other one lacks. Belongs to the thread that made it.
public struct AssumedIdentity {
    /// What this thread may make effective.
    private let permitted: CapabilitySet
    private let ownRoot: Int32
    private var ownRootStatus = ObjectStatus()
    /// Whose ids the thread has now.
    private var user: UInt32 = 0
    private var group: UInt32 = 0
    private var umask: UInt32 = .max
    private var groupCount = -1
    private let groups = UnsafeMutablePointer<UInt32>.allocate(capacity: FileCredentials.groupLimit)
    private var isElsewhere = false
    /// What is in effect; `nil` when it is not known.
    private var effective: CapabilitySet?

    /// For the calling thread, which gets a root and a current directory of its own. Without CAP_SETUID and CAP_SETGID it can only act
    /// as who it is.
    ///
    /// - Throws: EPERM in a sandbox that forbids unshare(2).
    public init() throws(KernelError) {
        permitted = try Capabilities.current().permitted
        try KernelError.check("unshare(CLONE_FS)", pc_identity_begin())
        ownRoot = try PathOpening.open("/", flags: OpenFlags.path | OpenFlags.directory).release()
        try KernelError.check("statx /", ObjectStatus.read(descriptor: ownRoot, into: &ownRootStatus))
        try KernelError.check("capset", regain())
        groupCount = Int(
            try KernelError.check(
                "getgroups", pc_identity_current(&user, &group, groups, UInt32(FileCredentials.groupLimit))))
    }

    /// Takes on ids and groups, and leaves only capabilities in effect that the other thread has in effect.
    ///
    /// - Parameters:
    ///   - honoursCapabilities: false for a thread of another user namespace, whose capabilities mean nothing here.
    ///   - extra: in effect besides.
    /// - Returns: 0 or a negated errno; then nothing may be done in its name.
    public mutating func become(
        _ other: borrowing FileCredentials, honoursCapabilities: Bool, adding extra: CapabilitySet = []
    ) -> Int32 {
        if !isSame(other) {
            var identity = pc_identity(
                uid: other.user, gid: other.group, group_count: UInt32(other.groupCount),
                groups: UnsafePointer(other.groups))
            groupCount = -1
            // Ids that change take capabilities along (capabilities(7)).
            effective = nil
            let result = pc_identity_assume(&identity)
            guard result == 0 else { return result }
            (user, group, groupCount) = (other.user, other.group, other.groupCount)
            groups.update(from: other.groups, count: other.groupCount)
        }
        if umask != other.umask {
            pc_identity_set_umask(other.umask)
            umask = other.umask
        }
        return setEffective(
            (honoursCapabilities ? other.effective : []).union(extra).intersection(permitted))
    }

    /// Whether it can be anybody else.
    public var canChange: Bool { permitted.contains(.setuid) && permitted.contains(.setgid) }

    /// The capabilities out of a set that we have as well.
    public func shared(_ capabilities: CapabilitySet) -> CapabilitySet { capabilities.intersection(permitted) }

    /// Has the thread's own capabilities in effect again; its ids stay, as they matter no more. 0 or a negated errno.
    @discardableResult public mutating func regain() -> Int32 { setEffective(permitted) }

    private mutating func setEffective(_ wanted: CapabilitySet) -> Int32 {
        if effective == wanted { return 0 }
        effective = nil
        let result = pc_identity_set_effective(wanted.rawValue, permitted.rawValue)
        if result == 0 { effective = wanted }
        return result
    }

    /// Makes the root of another thread ours, if it is a different one. Needs own capabilities. 0 or a negated errno.
    public mutating func enterRoot(of thread: Int32) -> Int32 {
        var root = ObjectStatus()
        let result = ProcFS.object(of: thread, "root", into: &root)
        guard result == 0 else { return result }
        if root.mountID == ownRootStatus.mountID, root.isSameObject(as: ownRootStatus) { return 0 }
        let directory = pc_proc_open(
            ProcFS.root, thread, ProcFS.text("root"), OpenFlags.path | OpenFlags.directory)
        guard directory >= 0 else { return directory }
        isElsewhere = true
        let entered = pc_identity_set_root(directory)
        _ = pc_close(directory)
        return entered
    }

    /// Goes back to our own root. Needs own capabilities. 0 or a negated errno: then the thread must not go on.
    public mutating func leaveRoot() -> Int32 {
        guard isElsewhere else { return 0 }
        isElsewhere = false
        return pc_identity_set_root(ownRoot)
    }

    /// Makes a directory the thread's current one; the thread's root with `nil`. 0 or a negated errno.
    public mutating func enterDirectory(_ directory: Int32?) -> Int32 {
        pc_identity_set_directory(directory ?? ownRoot)
    }

    /// Goes into the network, IPC, UTS and cgroup namespaces of another thread, which settings in /proc/sys are looked up by, and which some
    /// devices and files belong to once they are opened. Needs own capabilities. 0 or a negated errno; either way `leaveNamespaces` is next.
    public mutating func enterNamespaces(of thread: Int32) -> Int32 {
        for name: StaticString in ["ns/net", "ns/ipc", "ns/uts"] {
            let result = Self.enter(name, of: thread)
            guard result == 0 else { return result }
        }
        let result = Self.enter("ns/cgroup", of: thread)
        // ENOENT: a kernel without control groups.
        return result == -2 ? 0 : result
    }

    private static func enter(_ name: StaticString, of thread: Int32) -> Int32 {
        let namespace = pc_proc_open(ProcFS.root, thread, ProcFS.text(name), OpenFlags.readOnly)
        guard namespace >= 0 else { return namespace }
        defer { _ = pc_close(namespace) }
        return pc_identity_enter_namespace(namespace)
    }

    /// Goes back to our own. Needs own capabilities. 0 or a negated errno: then the thread must not go on.
    public mutating func leaveNamespaces() -> Int32 { enterNamespaces(of: getpid()) }

    private func isSame(_ other: borrowing FileCredentials) -> Bool {
        guard user == other.user, group == other.group, groupCount == other.groupCount else {
            return false
        }
        for index in 0..<groupCount where groups[index] != other.groups[index] { return false }
        return true
    }
}
