import CLinux

/// Descriptors that are known by number only, such as those of fanotify events and those a process inherits.
public enum RawDescriptor {
    /// close(2); a negative number is left alone.
    public static func close(_ descriptor: Int32) {
        if descriptor >= 0 { _ = pc_close(descriptor) }
    }

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
}
