import LinuxKernel

/// mmap(2): protection and flags are registers.
struct MapCall {
    private static let protections: [(bit: UInt64, name: StaticString)] = [
        (1, "PROT_READ"), (2, "PROT_WRITE"), (4, "PROT_EXEC"),
    ]
    private static let flags: [(bit: UInt64, name: StaticString)] = [
        (0x01, "MAP_SHARED"), (0x02, "MAP_PRIVATE"), (0x10, "MAP_FIXED"), (0x20, "MAP_ANONYMOUS"),
    ]

    private let protection: UInt64
    private let flags: UInt64

    /// The registers of the call.
    init(_ notification: SystemCallNotification) {
        protection = notification.argument(2)
        flags = notification.argument(3)
    }

    /// Writes the names of what is asked for, with commas between, as KubeArmor's alerts have them.
    ///
    /// - Parameter buffer: at least 128 bytes.
    /// - Returns: the part of the buffer that was written.
    func write(into buffer: UnsafeMutableRawBufferPointer) -> UnsafeRawBufferPointer {
        var length = 0
        func append(_ name: StaticString) {
            if length > 0 {
                buffer[length] = UInt8(ascii: ",")
                length += 1
            }
            for index in 0..<name.utf8CodeUnitCount { buffer[length + index] = name.utf8Start[index] }
            length += name.utf8CodeUnitCount
        }
        for entry in Self.protections where protection & entry.bit != 0 { append(entry.name) }
        for entry in Self.flags where flags & entry.bit != 0 { append(entry.name) }
        return UnsafeRawBufferPointer(rebasing: buffer[..<length])
    }
}
