import CLinux

/// Calls on sockets of others, on copies of their descriptors. Nothing is retried and nothing allocates. Results are 0, a value, or a
/// negated errno.
public enum SocketCalls {
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

    /// SO_COOKIE: the number that no other socket has or will have; 0 for none.
    public static func cookie(of socket: Int32) -> UInt64 {
        var cookie: UInt64 = 0
        return pc_socket_cookie(socket, &cookie) == 0 ? cookie : 0
    }

    /// Options that are looked at.
    public enum Option: Sendable {
        /// UDP_CORK, udp(7): datagrams are put together from several sends.
        case cork
        /// UDP_SEGMENT, udp(7): a send is cut into datagrams of so many bytes.
        case segment
        /// SO_ERROR: what came of a connection, and then nothing.
        case error

        fileprivate var numbers: (level: Int32, option: Int32) {
            switch self {
            case .cork: (17, 1)
            case .segment: (17, 103)
            case .error: (1, 4)
            }
        }
    }

    /// An option's value; `nil` for a socket without it.
    public static func value(of option: Option, _ socket: Int32) -> Int32? {
        var value: Int32 = 0
        let (level, number) = option.numbers
        return pc_socket_option(socket, level, number, &value) == 0 ? value : nil
    }

    /// SO_SNDTIMEO or SO_RCVTIMEO in nanoseconds; 0 for none.
    public static func timeout(of socket: Int32, sends: Bool) -> UInt64 {
        UInt64(max(pc_socket_timeout(socket, sends ? 1 : 0), 0))
    }

    /// The port of the other end of an internet socket; ENOTCONN.
    public static func peerPort(of socket: Int32) -> Int32 { pc_socket_peer_port(socket) }

    /// bind(2).
    public static func bind(_ socket: Int32, _ address: UnsafeRawBufferPointer) -> Int32 {
        guard let base = address.baseAddress else { return -22 }
        return pc_bind(socket, base, UInt32(address.count))
    }

    /// connect(2).
    public static func connect(_ socket: Int32, _ address: UnsafeRawBufferPointer) -> Int32 {
        guard let base = address.baseAddress else { return -22 }
        return pc_connect(socket, base, UInt32(address.count))
    }

    /// listen(2).
    public static func listen(_ socket: Int32, backlog: Int32) -> Int32 { pc_listen(socket, backlog) }

    /// accept4(2): a descriptor.
    ///
    /// - Parameter length: how long the address is.
    public static func accept(
        _ socket: Int32, flags: Int32, address: UnsafeMutableRawBufferPointer, length: inout UInt32
    ) -> Int32 {
        guard let base = address.baseAddress else { return -14 }
        length = UInt32(address.count)
        return pc_socket_accept(socket, base, &length, flags)
    }

    /// Whether something can be read or accepted without waiting.
    public static func isReadable(_ socket: Int32) -> Bool { pc_is_readable(socket) > 0 }

    /// sendmsg(2) of one piece: how many bytes were taken.
    public static func send(
        _ socket: Int32, _ data: UnsafeRawBufferPointer, to name: UnsafeRawBufferPointer,
        with control: UnsafeRawBufferPointer, flags: Int32
    ) -> Int {
        var message = pc_message(
            name: name.isEmpty ? nil : name.baseAddress, name_length: UInt32(name.count), data: data.baseAddress,
            length: data.count, control: control.isEmpty ? nil : control.baseAddress, control_length: control.count)
        return pc_send(socket, &message, flags)
    }

    /// The address of whom a socket is connected to: its length, or a negated errno (ENOTCONN).
    public static func peer(of socket: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        guard let base = buffer.baseAddress else { return -22 }
        return Int(pc_socket_peer(socket, base, UInt32(buffer.count)))
    }

    /// Sends a signal to one thread (tgkill(2)).
    public static func signal(_ signal: Int32, thread: Int32, of process: Int32) {
        _ = pc_signal_thread(process, thread, signal)
    }
}
