/// What throttling counts by: a container's namespaces.
public struct ThrottleKey: Sendable, Hashable {
    /// Inode number of the pid namespace.
    public var pidNamespace: UInt32
    /// Inode number of the mount namespace.
    public var mountNamespace: UInt32

    /// Creates a key.
    public init(pidNamespace: UInt32, mountNamespace: UInt32) {
        self.pidNamespace = pidNamespace
        self.mountNamespace = mountNamespace
    }

    /// Everything that is in no container.
    public static let host = ThrottleKey(pidNamespace: 0, mountNamespace: 0)
}
