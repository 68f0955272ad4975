import CLinux

/// The control groups of a thread (cgroups(7), /proc/<tid>/cgroup), of both versions. Allocates nothing.
public enum ControlGroups {
    /// Calls `body` with the path of the thread's group in each hierarchy, as our own cgroup namespace sees it, until it returns false.
    ///
    /// - Returns: 0 or a negated errno.
    @discardableResult
    public static func forEachPath(of tid: Int32, while body: (UnsafeRawBufferPointer) -> Bool) -> Int32 {
        let file = pc_proc_open(ProcFS.root, tid, ProcFS.text("cgroup"), OpenFlags.readOnly)
        guard file >= 0 else { return file }
        defer { _ = pc_close(file) }
        return LineReader.forEachLine(
            descriptor: file,
            while: { line in
                // 12:cpu,cpuacct:/path
                var colons = 0
                for index in 0..<line.count where line[index] == UInt8(ascii: ":") {
                    colons += 1
                    if colons == 2 { return body(UnsafeRawBufferPointer(rebasing: line[(index + 1)...])) }
                }
                return true
            })
    }

    /// Calls `body` with a path and with those of the groups above it, the widest first, without the root, until it returns false.
    public static func forEachGroup(above path: UnsafeRawBufferPointer, while body: (UnsafeRawBufferPointer) -> Bool) {
        guard path.count > 1 else { return }
        for end in 1...path.count where end == path.count || path[end] == UInt8(ascii: "/") {
            if !body(UnsafeRawBufferPointer(rebasing: path[..<end])) { return }
        }
    }
}
