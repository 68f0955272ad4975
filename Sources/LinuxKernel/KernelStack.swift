import CLinux

extension ProcFS {
    /// Whether a function is on the kernel stack of a waiting thread (/proc/<tid>/stack; needs CAP_SYS_ADMIN and
    /// CONFIG_STACKTRACE). `nil` when the stack cannot be read.
    public static func kernelStackContains(_ function: StaticString, of tid: Int32) -> Bool? {
        var storage = InlineArray<4096, UInt8>(repeating: 0)
        return withUnsafeMutableBytes(of: &storage) { buffer -> Bool? in
            let length = read(of: tid, "stack", into: buffer)
            guard length > 0 else { return nil }
            let name = UnsafeBufferPointer(start: function.utf8Start, count: function.utf8CodeUnitCount)
            var start = 0
            while start + name.count <= length {
                var matched = 0
                while matched < name.count && buffer[start + matched] == name[matched] { matched += 1 }
                if matched == name.count { return true }
                start += 1
            }
            return false
        }
    }
}
