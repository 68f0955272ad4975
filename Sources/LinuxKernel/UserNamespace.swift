import CLinux

/// A user namespace (user_namespaces(7)), held open.
public struct UserNamespace: ~Copyable, Sendable {
    private let descriptor: Descriptor
    /// Which one it is.
    public let identity: Identity

    /// What tells user namespaces apart.
    public struct Identity: Hashable, Sendable {
        var device: UInt64
        var inode: UInt64
    }

    /// That of a process. ESRCH when it is gone.
    public init(of process: Int32) throws(KernelError) {
        let opened = try PathOpening.open("/proc/\(process)/ns/user", flags: OpenFlags.readOnly)
        let status = try ObjectStatus.of(descriptor: opened.raw)
        identity = Identity(device: status.device, inode: status.inode)
        descriptor = opened
    }

    /// The open namespace; this object's.
    public var raw: Int32 { descriptor.raw }

    /// Takes the calling process into a user namespace, with all capabilities there and none outside of it. Only before it has a second
    /// thread (EINVAL). EPERM for one that neither was made by this user nor lies below one where the process has CAP_SYS_ADMIN.
    public static func enter(_ descriptor: Int32) throws(KernelError) {
        try KernelError.check("setns(CLONE_NEWUSER)", pc_identity_enter_namespace(descriptor))
    }
}
