import CLinux

/// Calls on sockets of others, on copies of their descriptors. Nothing is retried and nothing allocates. Results are 0, a value, or a
/// negated errno.
public enum SocketCalls {
    /// AF_UNIX.
    public static let unixDomain: Int32 = 1
    /// AF_NETLINK.
    public static let netlinkDomain: Int32 = 16

    /// A copy of what a thread has open under a number (pidfd_getfd(2), Linux 5.6). EBADF: nothing, or the thread has a table of
    /// descriptors of its own, in which the number means something else.
    public static func copy(_ number: Int32, of process: Int32, thread: Int32) -> Int32 {
        guard number >= 0 else { return -9 }
        let handle = pc_pidfd_open(process, 0)
        guard handle >= 0 else { return handle }
        let copy = pc_pidfd_getfd(handle, number)
        _ = pc_close(handle)
        guard copy >= 0, thread != process else { return copy }
        let pinned = ProcFS.pin(of: thread, descriptor: number)
        var (own, processes) = (ObjectStatus(), ObjectStatus())
        let isSame =
            pinned >= 0 && ObjectStatus.read(descriptor: pinned, into: &own) == 0
            && ObjectStatus.read(descriptor: copy, into: &processes) == 0 && own.isSameObject(as: processes)
        if pinned >= 0 { _ = pc_close(pinned) }
        if !isSame { _ = pc_close(copy) }
        return isSame ? copy : -9
    }

    /// SO_DOMAIN. ENOTSOCK: it is no socket.
    public static func domain(of socket: Int32) -> Int32 { pc_socket_domain(socket) }

    /// bind(2).
    public static func bind(_ socket: Int32, _ address: UnsafeRawBufferPointer) -> Int32 {
        guard let base = address.baseAddress else { return -22 }
        return pc_bind(socket, base, UInt32(address.count))
    }
}
