import CLinux
import Glibc

/// One owned file descriptor: closed exactly once, by `close()` or when its owner goes.
public struct Descriptor: ~Copyable, Sendable {
    /// The number, for calls that borrow it.
    public let raw: Int32

    /// Takes over a descriptor that nothing else closes.
    public init(owning raw: Int32) { self.raw = raw }

    deinit { _ = pc_close(raw) }

    /// Closes now instead of at the end of the scope.
    public consuming func close() {}

    /// Gives the number up: the caller closes it.
    public consuming func release() -> Int32 {
        let number = raw
        discard self
        return number
    }

    /// A second descriptor of the same open file, close-on-exec. EMFILE if the limit is reached.
    public borrowing func duplicate() throws(KernelError) -> Descriptor {
        try Self.duplicating(raw)
    }

    /// A close-on-exec copy of a descriptor somebody else owns.
    public static func duplicating(_ raw: Int32) throws(KernelError) -> Descriptor {
        Descriptor(owning: try KernelError.check("fcntl(F_DUPFD_CLOEXEC)", pc_duplicate(raw, 3)))
    }

    /// FD_CLOEXEC.
    public borrowing func setCloseOnExec(_ on: Bool) throws(KernelError) {
        try KernelError.check("fcntl(F_SETFD)", pc_set_close_on_exec(raw, on ? 1 : 0))
    }

    /// O_NONBLOCK; it belongs to the open file, not to this number.
    public borrowing func setNonblocking(_ on: Bool) throws(KernelError) {
        try KernelError.check("fcntl(F_SETFL)", pc_set_nonblocking(raw, on ? 1 : 0))
    }

    /// read(2): the bytes, 0 at the end, or a negated errno. Allocates nothing.
    public borrowing func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        guard let base = buffer.baseAddress else { return 0 }
        return pc_read(raw, base, buffer.count)
    }

    /// write(2): the bytes written or a negated errno. Allocates nothing.
    public borrowing func write(_ buffer: UnsafeRawBufferPointer) -> Int {
        guard let base = buffer.baseAddress else { return 0 }
        return pc_write(raw, base, buffer.count)
    }

    /// Reads up to `limit` bytes, to the end of the file; throws EFBIG if there is more.
    public borrowing func readAll(limit: Int) throws(KernelError) -> [UInt8] {
        var bytes: [UInt8] = []
        var failure: Int32 = 0
        while failure == 0 {
            let room = Swift.min(Swift.max(4096, bytes.count), limit - bytes.count + 1)
            let chunk = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
                let result = read(into: UnsafeMutableRawBufferPointer(buffer))
                if result < 0 { failure = Int32(-result) }
                count = Swift.max(0, result)
            }
            if chunk.isEmpty { break }
            bytes += chunk
            if bytes.count > limit { throw KernelError("read", errno: EFBIG) }
        }
        if failure != 0 { throw KernelError("read", errno: failure) }
        return bytes
    }
}
