import CLinux

/// Lines of a file through a fixed buffer on the stack.
enum LineReader {
    /// Bytes of a line that are looked at; the rest of a longer one (Groups: may have 65 536 numbers) is skipped.
    static let capacity = 4096

    /// Calls `body` for each line, without its newline. 0 or a negated errno.
    static func forEachLine(descriptor: Int32, _ body: (UnsafeRawBufferPointer) -> Void) -> Int32 {
        forEachLine(descriptor: descriptor) { line in
            body(line)
            return true
        }
    }

    /// Calls `body` for each line of the file from its beginning, without its newline, until it returns false. 0 or a negated errno.
    static func forEachLine(descriptor: Int32, while body: (UnsafeRawBufferPointer) -> Bool) -> Int32 {
        var storage = InlineArray<4096, UInt8>(repeating: 0)
        return withUnsafeMutableBytes(of: &storage) { buffer -> Int32 in
            guard let base = buffer.baseAddress else { return -22 }
            var filled = 0
            var skipping = false
            var offset: Int64 = 0
            while true {
                let count = pc_pread(descriptor, base + filled, capacity - filled, offset)
                guard count >= 0 else { return Int32(count) }
                offset += Int64(count)
                let end = filled + count
                var start = 0
                var at = filled
                while at < end {
                    if buffer[at] == UInt8(ascii: "\n") {
                        if !skipping, !body(UnsafeRawBufferPointer(rebasing: buffer[start..<at])) { return 0 }
                        skipping = false
                        start = at + 1
                    }
                    at += 1
                }
                if count == 0 {
                    if end > start, !skipping { _ = body(UnsafeRawBufferPointer(rebasing: buffer[start..<end])) }
                    return 0
                }
                filled = end - start
                if start == 0, filled == capacity {
                    if !skipping, !body(UnsafeRawBufferPointer(rebasing: buffer[0..<capacity])) { return 0 }
                    skipping = true
                    filled = 0
                } else if start > 0, filled > 0 {
                    buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[start..<end]))
                }
            }
        }
    }
}
