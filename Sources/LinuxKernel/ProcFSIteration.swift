import CLinux

extension ProcFS {
    /// Calls `body` for each process id. 0 or a negated errno.
    public static func forEachProcess(_ body: (Int32) -> Void) -> Int32 {
        forEachEntry(pc_openat(root, text("."), OpenFlags.readOnly | OpenFlags.directory, 0)) { name in
            if let pid = ByteText.decimal(name), pid > 0, pid <= UInt64(Int32.max) { body(Int32(pid)) }
        }
    }

    /// Calls `body` for each thread id of a process. 0 or a negated errno.
    public static func forEachThread(of pid: Int32, _ body: (Int32) -> Void) -> Int32 {
        forEachEntry(pc_proc_open(root, pid, text("task"), OpenFlags.readOnly | OpenFlags.directory)) { name in
            if let tid = ByteText.decimal(name), tid > 0, tid <= UInt64(Int32.max) { body(Int32(tid)) }
        }
    }

    /// Calls `body` with the number and the object of each open descriptor of a process. Descriptors closed meanwhile
    /// are left out. 0 or a negated errno.
    public static func forEachDescriptor(of pid: Int32, _ body: (Int32, ObjectStatus) -> Void) -> Int32 {
        let directory = pc_proc_open(root, pid, text("fd"), OpenFlags.readOnly | OpenFlags.directory)
        return forEachEntry(directory) { name in
            guard let number = ByteText.decimal(name), number <= UInt64(Int32.max), let path = name.baseAddress
            else { return }
            var status = ObjectStatus()
            // Names in a directory buffer are terminated.
            let result = ObjectStatus.read(
                directory: directory, path: path.assumingMemoryBound(to: CChar.self), follow: true, into: &status)
            if result == 0 { body(Int32(number), status) }
        }
    }

    /// Calls `body` with the address range and the object of each file mapping of a process (/proc/<pid>/map_files,
    /// needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE). 0 or a negated errno.
    public static func forEachMappedFile(of pid: Int32, _ body: (Range<UInt64>, ObjectStatus) -> Void) -> Int32 {
        let directory = pc_proc_open(root, pid, text("map_files"), OpenFlags.readOnly | OpenFlags.directory)
        return forEachEntry(directory) { name in
            guard let dash = name.firstIndex(of: UInt8(ascii: "-")), let path = name.baseAddress,
                let start = ByteText.hexadecimal(UnsafeRawBufferPointer(rebasing: name[..<dash])),
                let end = ByteText.hexadecimal(UnsafeRawBufferPointer(rebasing: name[(dash + 1)...])), start <= end
            else { return }
            var status = ObjectStatus()
            let result = ObjectStatus.read(
                directory: directory, path: path.assumingMemoryBound(to: CChar.self), follow: true, into: &status)
            if result == 0 { body(start..<end, status) }
        }
    }

    /// Takes over `directory`, a descriptor or a negated errno, and calls `body` with each name but "." and "..".
    private static func forEachEntry(_ directory: Int32, _ body: (UnsafeRawBufferPointer) -> Void) -> Int32 {
        guard directory >= 0 else { return directory }
        defer { _ = pc_close(directory) }
        var storage = InlineArray<4096, UInt8>(repeating: 0)
        return withUnsafeMutableBytes(of: &storage) { buffer -> Int32 in
            guard let base = buffer.baseAddress else { return -22 }
            while true {
                let length = pc_directory_entries(directory, base, buffer.count)
                guard length > 0 else { return Int32(length) }
                // struct linux_dirent64: inode 8, offset 8, length 2, type 1, name.
                var at = 0
                while at + 19 < length {
                    let record = Int(buffer.loadUnaligned(fromByteOffset: at + 16, as: UInt16.self))
                    guard record > 19, at + record <= length else { return -5 }
                    let field = UnsafeRawBufferPointer(rebasing: buffer[at + 19..<at + record])
                    let name = UnsafeRawBufferPointer(rebasing: field[..<(field.firstIndex(of: 0) ?? field.endIndex)])
                    if name.first != UInt8(ascii: ".") { body(name) }
                    at += record
                }
            }
        }
    }
}
