import CLinux
import Glibc

/// AF_UNIX sockets (unix(7)).
public enum UnixSocket {
    /// The kind of a pair.
    public enum Kind: Sendable {
        /// SOCK_SEQPACKET: messages stay apart, and the end of the other side is seen.
        case sequencedPackets
        /// SOCK_STREAM.
        case stream
    }

    /// Who connected, as of connect(2) or socketpair(2).
    public struct Peer: Equatable, Sendable {
        /// The process.
        public var pid: Int32
        /// The effective user id.
        public var uid: UInt32
        /// The effective group id.
        public var gid: UInt32
        /// All three.
        public init(pid: Int32, uid: UInt32, gid: UInt32) {
            self.pid = pid
            self.uid = uid
            self.gid = gid
        }
    }

    /// Two connected sockets.
    public struct Pair: ~Copyable, Sendable {
        /// One end.
        public var first: Descriptor
        /// The other end.
        public var second: Descriptor
    }

    /// Descriptors in one message at most.
    public static let descriptorLimit = Int(PC_MAX_PASSED_DESCRIPTORS)

    /// socketpair(2).
    public static func pair(_ kind: Kind = .sequencedPackets) throws(KernelError) -> Pair {
        var first: Int32 = -1
        var second: Int32 = -1
        let type = kind == .stream ? Int32(SOCK_STREAM.rawValue) : Int32(SOCK_SEQPACKET.rawValue)
        try KernelError.check("socketpair", pc_socket_pair(type, &first, &second))
        return Pair(first: Descriptor(owning: first), second: Descriptor(owning: second))
    }

    /// A listening stream socket whose file is never more accessible than `mode`. `replacingStale` removes the file of
    /// a socket nobody listens on; EADDRINUSE if somebody does.
    public static func listen(
        path: UnsafePointer<CChar>, mode: UInt32, backlog: Int32 = 64, replacingStale: Bool = false
    ) throws(KernelError) -> Descriptor {
        let result = pc_unix_listen(path, mode, backlog, replacingStale ? 1 : 0)
        return Descriptor(owning: try KernelError.check("listen", result))
    }

    /// A stream socket connected to `path`.
    public static func connect(path: UnsafePointer<CChar>) throws(KernelError) -> Descriptor {
        Descriptor(owning: try KernelError.check("connect", pc_unix_connect(path)))
    }

    /// accept4(2). EAGAIN if `socket` is nonblocking and nobody waits.
    public static func accept(_ socket: Int32, nonblocking: Bool = false) throws(KernelError) -> Descriptor {
        Descriptor(owning: try KernelError.check("accept4", pc_accept(socket, nonblocking ? 1 : 0)))
    }

    /// SO_SNDTIMEO: sending to somebody who does not read fails with EAGAIN after this long.
    public static func limitSending(of socket: Int32, seconds: UInt32) throws(KernelError) {
        try KernelError.check("setsockopt(SO_SNDTIMEO)", pc_set_send_timeout(socket, seconds))
    }

    /// SO_PEERCRED.
    public static func peer(of socket: Int32) throws(KernelError) -> Peer {
        var raw = pc_peer()
        try KernelError.check("getsockopt(SO_PEERCRED)", pc_peer_credentials(socket, &raw))
        return Peer(pid: raw.pid, uid: raw.uid, gid: raw.gid)
    }

    /// Sends bytes and up to eight descriptors, which stay open here. At least one byte is needed to carry descriptors
    /// over a stream. Returns the bytes sent. EPIPE if the other side is closed; never raises SIGPIPE.
    @discardableResult
    public static func send(
        _ socket: Int32, bytes: UnsafeRawBufferPointer, descriptors: [Int32] = []
    ) throws(KernelError) -> Int {
        let result = descriptors.withUnsafeBufferPointer { buffer in
            pc_send_message(socket, bytes.baseAddress, bytes.count, buffer.baseAddress, UInt32(buffer.count))
        }
        return try KernelError.check("sendmsg", result)
    }

    /// Sends bytes and up to eight descriptors.
    @discardableResult
    public static func send(
        _ socket: Int32, bytes: [UInt8], descriptors: [Int32] = []
    ) throws(KernelError) -> Int {
        let result = bytes.withUnsafeBytes { raw in
            descriptors.withUnsafeBufferPointer { buffer in
                pc_send_message(socket, raw.baseAddress, raw.count, buffer.baseAddress, UInt32(buffer.count))
            }
        }
        return try KernelError.check("sendmsg", result)
    }

    /// Receives one message. EMSGSIZE if bytes or descriptors did not fit (everything received is dropped and closed),
    /// EAGAIN if `nonblocking` and there is none.
    public static func receive(
        _ socket: Int32, into buffer: UnsafeMutableRawBufferPointer, nonblocking: Bool = false
    ) throws(KernelError) -> ReceivedMessage {
        guard let base = buffer.baseAddress else { throw KernelError("recvmsg", errno: 22) }
        var descriptors = InlineArray<8, Int32>(repeating: -1)
        var count: UInt32 = 0
        let length = withUnsafeMutableBytes(of: &descriptors) { raw -> Int in
            guard let numbers = raw.baseAddress?.assumingMemoryBound(to: Int32.self) else { return -22 }
            return pc_receive_message(socket, base, buffer.count, numbers, &count, nonblocking ? 1 : 0)
        }
        try KernelError.check("recvmsg", length)
        return ReceivedMessage(length: length, descriptorCount: Int(count), descriptors: descriptors)
    }
}
