import CLinux

/// Calls that open or change objects and names, on what descriptors pin. Nothing is retried and nothing allocates. Results are 0,
/// a descriptor's number, or a negated errno.
public enum ObjectCalls {
    /// openat2(2) with O_PATH; `resolve` are RESOLVE_* flags.
    public static func pin(
        _ directory: Int32, _ name: UnsafePointer<CChar>, follow: Bool, directoryOnly: Bool = false, resolve: UInt64
    ) -> Int32 {
        var flags = OpenFlags.path
        if !follow { flags |= OpenFlags.noFollow }
        if directoryOnly { flags |= OpenFlags.directory }
        return pc_openat2(directory, name, UInt64(UInt32(bitPattern: flags)), 0, resolve)
    }

    /// openat(2) with O_PATH.
    public static func pin(_ directory: Int32, _ name: UnsafePointer<CChar>, follow: Bool) -> Int32 {
        pc_open_once(directory, name, OpenFlags.path | (follow ? 0 : OpenFlags.noFollow), 0)
    }

    /// RESOLVE_NO_SYMLINKS: fails with ELOOP at any symbolic link, so that nothing on the way depends on who looks.
    public static let noSymbolicLinks: UInt64 = 4

    /// openat(2).
    public static func open(_ directory: Int32, _ name: UnsafePointer<CChar>, flags: Int32, mode: UInt32) -> Int32 {
        pc_open_once(directory, name, flags, mode)
    }

    /// Opens an object anew, whatever it is called. `mode` counts for O_TMPFILE.
    public static func open(object: Int32, flags: Int32, mode: UInt32 = 0) -> Int32 {
        pc_reopen_object(object, flags, mode)
    }

    /// unlinkat(2).
    public static func unlink(_ directory: Int32, _ name: UnsafePointer<CChar>, flags: Int32) -> Int32 {
        pc_unlink(directory, name, flags)
    }

    /// renameat2(2).
    public static func rename(
        _ directory: Int32, _ name: UnsafePointer<CChar>, to newDirectory: Int32, _ newName: UnsafePointer<CChar>,
        flags: UInt32
    ) -> Int32 { pc_rename(directory, name, newDirectory, newName, flags) }

    /// linkat(2) of an object.
    public static func link(object: Int32, to directory: Int32, _ name: UnsafePointer<CChar>) -> Int32 {
        pc_link_object(object, directory, name)
    }

    /// symlinkat(2).
    public static func symlink(_ target: UnsafePointer<CChar>, _ directory: Int32, _ name: UnsafePointer<CChar>)
        -> Int32
    { pc_symlink(target, directory, name) }

    /// mkdirat(2).
    public static func makeDirectory(_ directory: Int32, _ name: UnsafePointer<CChar>, mode: UInt32) -> Int32 {
        pc_mkdir(directory, name, mode)
    }

    /// mknodat(2).
    public static func makeNode(
        _ directory: Int32, _ name: UnsafePointer<CChar>, mode: UInt32, device: UInt64
    ) -> Int32 { pc_mknod(directory, name, mode, device) }

    /// truncate(2).
    public static func truncate(object: Int32, length: Int64) -> Int32 { pc_truncate_object(object, length) }

    /// chmod(2).
    public static func setMode(_ object: Int32, mode: UInt32) -> Int32 { pc_chmod_object(object, mode) }

    /// chown(2). `UInt32.max` leaves an id as it is.
    public static func setOwner(_ object: Int32, user: UInt32, group: UInt32) -> Int32 {
        pc_chown_object(object, user, group)
    }

    /// setxattr(2).
    public static func setAttribute(
        _ object: Int32, name: UnsafePointer<CChar>, value: UnsafeRawBufferPointer, flags: Int32
    ) -> Int32 { pc_set_attribute(object, name, value.baseAddress, value.count, flags) }

    /// removexattr(2).
    public static func removeAttribute(_ object: Int32, name: UnsafePointer<CChar>) -> Int32 {
        pc_remove_attribute(object, name)
    }

    /// utimensat(2): seconds and nanoseconds of access and change; `nil` = now.
    public static func setTimes(_ object: Int32, _ times: UnsafePointer<Int64>?) -> Int32 {
        pc_set_times(object, times)
    }

    /// statfs(2) of an object: its filesystem's type, and the flags of its mount (ST_*).
    public static func filesystem(of object: Int32) -> (type: Int64, flags: Int64)? {
        var (type, flags): (Int64, Int64) = (0, 0)
        return pc_file_system_flags(object, &type, &flags) == 0 ? (type, flags) : nil
    }

    /// PROC_SUPER_MAGIC.
    public static let procFilesystem = Int64(PC_PROC_SUPER_MAGIC)
}

/// Memory of a thread that waits for us. It may change between two looks; what was read once is what counts.
public enum ThreadMemory {
    /// process_vm_readv(2): 0, or a negated errno (EFAULT: not all of it could be read).
    public static func read(_ thread: Int32, at address: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int32 {
        guard let base = buffer.baseAddress, !buffer.isEmpty else { return 0 }
        let result = pc_read_process_memory(thread, address, base, buffer.count)
        return result == 0 || result == -3 || result == -1 ? result : -14
    }

    /// Writes through the memory of a thread that waited when its number was last looked at: 0 or a negated errno.
    public static func write(_ file: Int32, at address: UInt64, _ bytes: UnsafeRawBufferPointer) -> Int32 {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return 0 }
        return pc_write_memory(file, address, base, bytes.count)
    }

    /// Opens a thread's memory, which stays that memory whatever becomes of the thread: a descriptor, or a negated errno. The thread has to
    /// be seen waiting after it.
    public static func open(_ thread: Int32) -> Int32 {
        pc_proc_open(ProcFS.root, thread, ProcFS.text("mem"), 2)
    }

    /// A string with its zero byte: its length without it, or a negated errno (EFAULT; ENAMETOOLONG: no end in the buffer).
    public static func string(_ thread: Int32, at address: UInt64, into buffer: UnsafeMutableBufferPointer<CChar>)
        -> Int
    {
        guard let base = buffer.baseAddress else { return -36 }
        return pc_read_process_string(thread, address, base, buffer.count)
    }
}
