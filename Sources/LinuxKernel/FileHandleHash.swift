import CLinux

extension FileHandle {
    /// A 64-bit hash of an open object's file handle (name_to_handle_at(2)), which carries the inode's generation: equal for
    /// the same object, different for another one that got its inode number. 0 when the filesystem has no handles.
    public static func hash(ofDescriptor descriptor: Int32) -> UInt64 {
        var storage = InlineArray<128, UInt8>(repeating: 0)
        return withUnsafeMutableBytes(of: &storage) { buffer -> UInt64 in
            guard let base = buffer.baseAddress else { return 0 }
            var length: UInt32 = 0
            var type: Int32 = 0
            var mount: Int32 = 0
            guard
                pc_file_handle(
                    descriptor, base.assumingMemoryBound(to: UInt8.self), UInt32(buffer.count), &length, &type, &mount)
                    == 0
            else { return 0 }
            // FNV-1a; the bytes are the kernel's own.
            var hash: UInt64 = 0xCBF2_9CE4_8422_2325 ^ UInt64(UInt32(bitPattern: type))
            for index in 0..<min(Int(length), buffer.count) { hash = (hash ^ UInt64(buffer[index])) &* 0x100_0000_01B3 }
            return hash == 0 ? 1 : hash
        }
    }
}
