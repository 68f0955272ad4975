import CLinux

/// Bytes in a sealed memfd: nobody, not even its maker, can change or resize them any more.
public struct SealedMemory: ~Copyable, @unchecked Sendable {
    // Sendable: the mapping is read-only and the file cannot be written.
    private let base: UnsafeMutableRawPointer?
    /// The bytes' number.
    public let count: Int

    /// The bytes.
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    /// F_SEAL_SEAL, SHRINK, GROW, WRITE.
    private static let seals = UInt32(PC_SEAL_SEAL | PC_SEAL_SHRINK | PC_SEAL_GROW | PC_SEAL_WRITE)

    /// memfd_create(2), the bytes, and the four seals. The descriptor can be passed to other processes.
    public static func create(
        name: UnsafePointer<CChar>, bytes: UnsafeRawBufferPointer
    ) throws(KernelError) -> Descriptor {
        let file = Descriptor(owning: try KernelError.check("memfd_create", pc_memfd_create(name, 1)))
        try KernelError.check("ftruncate", pc_set_size(file.raw, UInt64(bytes.count)))
        var done = 0
        while done < bytes.count {
            done += try KernelError.check(
                "write", file.write(UnsafeRawBufferPointer(rebasing: bytes[done...])))
        }
        try KernelError.check("fcntl(F_ADD_SEALS)", pc_add_seals(file.raw, seals))
        return file
    }

    /// The same for an array.
    public static func create(name: UnsafePointer<CChar>, bytes: [UInt8]) throws(KernelError) -> Descriptor {
        let result = bytes.withUnsafeBytes { buffer -> Result<Int32, KernelError> in
            do throws(KernelError) {
                return .success(try create(name: name, bytes: buffer).release())
            } catch {
                return .failure(error)
            }
        }
        return Descriptor(owning: try result.get())
    }

    /// Maps a received memfd. EPERM unless all four seals are set, EINVAL if it is no memfd, EFBIG if larger than
    /// `limit` bytes. The descriptor may be closed afterwards.
    public init(mapping descriptor: Int32, limit: Int) throws(KernelError) {
        (base, count) = try Self.map(descriptor, limit: limit)
    }

    private static func map(
        _ descriptor: Int32, limit: Int
    ) throws(KernelError) -> (base: UnsafeMutableRawPointer?, count: Int) {
        let present = try KernelError.check("fcntl(F_GET_SEALS)", pc_get_seals(descriptor))
        // First the seals, then the size: before them the size could still change.
        guard UInt32(present) & seals == seals else { throw KernelError("verify seals", errno: 1) }
        let size = try ObjectStatus.of(descriptor: descriptor).size
        guard size <= UInt64(limit) else { throw KernelError("map sealed memory", errno: 27) }
        guard size > 0 else { return (nil, 0) }
        var address: UnsafeMutableRawPointer?
        try KernelError.check("mmap", pc_map(descriptor, Int(size), 0, &address))
        return (address, Int(size))
    }

    deinit { if let base { _ = pc_unmap(base, count) } }
}
