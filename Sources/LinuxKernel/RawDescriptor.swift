import CLinux

/// Descriptors that are known by number only, such as those of fanotify events and those a process inherits.
public enum RawDescriptor {
    /// close(2); a negative number is left alone.
    public static func close(_ descriptor: Int32) {
        if descriptor >= 0 { _ = pc_close(descriptor) }
    }

    /// fcntl(2) F_DUPFD_CLOEXEC: a second descriptor, or a negated errno.
    public static func duplicate(_ descriptor: Int32) -> Int32 { pc_duplicate(descriptor, 0) }

    /// Replaces the flags that can be changed of an open file (fcntl(2) F_SETFL): O_APPEND, O_DIRECT, O_NOATIME and O_NONBLOCK of what open(2)
    /// takes; the others are not looked at. 0 or a negated errno.
    @discardableResult public static func setStatusFlags(_ descriptor: Int32, _ flags: Int32) -> Int32 {
        pc_set_status_flags(descriptor, flags)
    }

    /// Sets or clears O_NONBLOCK: 0 or a negated errno.
    @discardableResult public static func setNonblocking(_ descriptor: Int32, _ isOn: Bool) -> Int32 {
        pc_set_nonblocking(descriptor, isOn ? 1 : 0)
    }

    /// Whether O_NONBLOCK is set.
    public static func isNonblocking(_ descriptor: Int32) -> Bool { pc_is_nonblocking(descriptor) > 0 }

    /// read(2): the bytes read, or a negated errno.
    public static func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        guard let base = buffer.baseAddress else { return 0 }
        return pc_read(descriptor, base, buffer.count)
    }

    /// write(2): the bytes written, or a negated errno.
    public static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
        guard let base = bytes.baseAddress else { return 0 }
        return pc_write(descriptor, base, bytes.count)
    }

    /// The last bytes of a file of this size, as many as `limit` at most; what is there of them.
    public static func readEnd(_ descriptor: Int32, size: Int, limit: Int) -> [UInt8] {
        let wanted = min(max(size, 0), limit)
        return [UInt8](unsafeUninitializedCapacity: wanted) { buffer, count in
            while count < wanted, let base = buffer.baseAddress {
                let read = pc_pread(descriptor, base + count, wanted - count, Int64(size - wanted + count))
                guard read > 0 else { return }
                count += read
            }
        }
    }
}
