import CLinux

/// A file's handle (name_to_handle_at(2)): identifies it across rename and link, and differs for a reused inode number.
public struct FileHandle: Hashable, Sendable {
    /// Bytes of a handle at most (MAX_HANDLE_SZ).
    public static let capacity = 128
    /// Zero beyond `count` bytes, so that whole words can be compared.
    private var words = InlineArray<16, UInt64>(repeating: 0)
    /// Bytes in use.
    public private(set) var count: UInt32 = 0
    /// The file system's own type number.
    public private(set) var type: Int32 = 0
    /// The mount it was reached through, as in mountinfo(5); not part of the identity. 0 if made from bytes.
    public private(set) var mountID: Int32 = 0

    /// No handle.
    public init() {}

    /// From the bytes of an event; nil if they are too many.
    public init?(type: Int32, bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= Self.capacity else { return nil }
        self.type = type
        count = UInt32(bytes.count)
        withUnsafeMutableBytes(of: &words) { $0.copyMemory(from: bytes) }
    }

    /// The handle of an open descriptor. EOPNOTSUPP: the file system has none (some overlays, proc). Allocates nothing.
    public static func read(descriptor: Int32, into handle: inout FileHandle) -> Int32 {
        var fresh = FileHandle()
        let result = withUnsafeMutableBytes(of: &fresh.words) { buffer -> Int32 in
            guard let base = buffer.baseAddress else { return -22 }
            return pc_file_handle(
                descriptor, base.assumingMemoryBound(to: UInt8.self), UInt32(buffer.count), &fresh.count, &fresh.type,
                &fresh.mountID)
        }
        if result == 0 { handle = fresh }
        return result
    }

    /// The handle of an open descriptor.
    public static func of(descriptor: Int32) throws(KernelError) -> FileHandle {
        var handle = FileHandle()
        try KernelError.check("name_to_handle_at", read(descriptor: descriptor, into: &handle))
        return handle
    }

    /// Same type and bytes.
    public static func == (left: FileHandle, right: FileHandle) -> Bool {
        guard left.type == right.type, left.count == right.count else { return false }
        for index in left.words.indices where left.words[index] != right.words[index] { return false }
        return true
    }

    /// Hashes type and bytes.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(type)
        for index in 0..<Int((count + 7) / 8) { hasher.combine(words[index]) }
    }

    /// The bytes.
    public var bytes: [UInt8] { withUnsafeBytes(of: words) { Array($0.prefix(Int(count))) } }
}
