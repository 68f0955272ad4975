import CLinux

/// A writable shared mapping of a memfd, for rings between processes.
public struct SharedMemory: ~Copyable, @unchecked Sendable {
    // Sendable: what lies in the memory decides how it may be shared (atomics), which its user is bound to anyway.
    private let base: UnsafeMutableRawPointer
    /// The bytes' number.
    public let count: Int

    /// The memory.
    public var bytes: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: base, count: count) }

    /// A memfd of `size` zero bytes that can no longer be resized: a peer that could shrink it could kill its other
    /// users with SIGBUS.
    public static func create(name: UnsafePointer<CChar>, size: Int) throws(KernelError) -> Descriptor {
        guard size > 0 else { throw KernelError("memfd_create", errno: 22) }
        let file = Descriptor(owning: try KernelError.check("memfd_create", pc_memfd_create(name, 1)))
        try KernelError.check("ftruncate", pc_set_size(file.raw, UInt64(size)))
        try KernelError.check(
            "fcntl(F_ADD_SEALS)", pc_add_seals(file.raw, UInt32(PC_SEAL_SEAL | PC_SEAL_SHRINK | PC_SEAL_GROW)))
        return file
    }

    /// Maps a memfd of `create`, whole. EPERM unless its size is sealed, EFBIG if larger than `limit` bytes. The
    /// descriptor may be closed afterwards.
    public init(mapping descriptor: Int32, limit: Int) throws(KernelError) {
        (base, count) = try Self.map(descriptor, limit: limit)
    }

    private static func map(
        _ descriptor: Int32, limit: Int
    ) throws(KernelError) -> (base: UnsafeMutableRawPointer, count: Int) {
        let needed = Int32(PC_SEAL_SHRINK | PC_SEAL_GROW)
        let present = try KernelError.check("fcntl(F_GET_SEALS)", pc_get_seals(descriptor))
        guard present & needed == needed else { throw KernelError("verify seals", errno: 1) }
        let size = try ObjectStatus.of(descriptor: descriptor).size
        guard size > 0, size <= UInt64(limit) else { throw KernelError("map shared memory", errno: 27) }
        var address: UnsafeMutableRawPointer?
        try KernelError.check("mmap", pc_map(descriptor, Int(size), 1, &address))
        guard let address else { throw KernelError("mmap", errno: 12) }
        return (address, Int(size))
    }

    deinit { _ = pc_unmap(base, count) }
}
