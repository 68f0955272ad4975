import CLinux

/// proc(5), relative to one long-lived descriptor of /proc, so that a later mount over it changes nothing. Numbers may
/// be process or thread ids. Results are lengths or 0, or a negated errno (ENOENT, ESRCH: gone; EACCES, EPERM: hidden).
/// Nothing here allocates unless it says so.
public enum ProcFS {
    /// O_PATH of /proc, or a negated errno if /proc is not a proc file system; every call then returns an error.
    static let root: Int32 = {
        let descriptor = pc_openat(OpenFlags.currentDirectory, "/proc", OpenFlags.path | OpenFlags.directory, 0)
        guard descriptor >= 0 else { return descriptor }
        var magic: Int64 = 0
        guard pc_file_system_magic(descriptor, &magic) == 0, magic == Int64(PC_PROC_SUPER_MAGIC) else {
            _ = pc_close(descriptor)
            return -19  // ENODEV
        }
        return descriptor
    }()

    /// The file system of our own /proc (see `ObjectStatus.device`); 0 if it cannot be told.
    public static let device: UInt64 = {
        var status = ObjectStatus()
        return ObjectStatus.read(descriptor: root, into: &status) == 0 ? status.device : 0
    }()

    /// Opens /proc now, so that no later call does it on a hot path. ENODEV: /proc is not mounted.
    public static func prepare() throws(KernelError) {
        try KernelError.check("open /proc", root)
    }

    /// The path of the program (/proc/<pid>/exe): the length.
    public static func executable(of pid: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        link(of: pid, "exe", into: buffer)
    }

    /// The path of the current directory: the length.
    public static func workingDirectory(of pid: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        link(of: pid, "cwd", into: buffer)
    }

    /// The path of the root directory: the length.
    public static func rootDirectory(of pid: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        link(of: pid, "root", into: buffer)
    }

    /// Any link below /proc/<pid>: the length. A literal costs nothing; the form for other strings copies them.
    public static func link(
        of pid: Int32, _ leaf: StaticString, into buffer: UnsafeMutableRawBufferPointer
    ) -> Int {
        guard let base = buffer.baseAddress else { return -36 }
        return pc_proc_readlink(root, pid, text(leaf), base, buffer.count)
    }

    /// The same for a leaf that is not a literal.
    @_disfavoredOverload
    public static func link(
        of pid: Int32, _ leaf: UnsafePointer<CChar>, into buffer: UnsafeMutableRawBufferPointer
    ) -> Int {
        guard let base = buffer.baseAddress else { return -36 }
        return pc_proc_readlink(root, pid, leaf, base, buffer.count)
    }

    static func text(_ literal: StaticString) -> UnsafePointer<CChar> { CString.literal(literal) }

    /// The identity of the running program, whatever its path names by now.
    public static func executableObject(of pid: Int32, into status: inout ObjectStatus) -> Int32 {
        object(of: pid, "exe", into: &status)
    }

    /// The identity of the running program.
    public static func executableObject(of pid: Int32) throws(KernelError) -> ObjectStatus {
        var status = ObjectStatus()
        try KernelError.check("statx /proc/pid/exe", executableObject(of: pid, into: &status))
        return status
    }

    /// The object behind any link below /proc/<pid>: "cwd", "root", "ns/mnt", "fd/3".
    public static func object(of pid: Int32, _ leaf: StaticString, into status: inout ObjectStatus) -> Int32 {
        object(of: pid, text(leaf), into: &status)
    }

    /// The same for a leaf that is not a literal.
    @_disfavoredOverload
    public static func object(
        of pid: Int32, _ leaf: UnsafePointer<CChar>, into status: inout ObjectStatus
    ) -> Int32 {
        var raw = pc_object_status()
        let result = pc_proc_object_status(root, pid, leaf, &raw)
        if result == 0 { status = ObjectStatus(raw) }
        return result
    }

    /// Opens a file or directory below /proc/<pid>: "root", "ns/mnt", "mountinfo".
    public static func open(
        of pid: Int32, _ leaf: UnsafePointer<CChar>, flags: Int32 = OpenFlags.readOnly
    ) throws(KernelError) -> Descriptor {
        Descriptor(owning: try KernelError.check("open /proc/pid", pc_proc_open(root, pid, leaf, flags)))
    }

    /// O_PATH descriptor of what a link below /proc/<tid> leads to: "cwd", "root". A negated errno.
    public static func pin(of tid: Int32, _ leaf: StaticString) -> Int32 {
        pc_proc_open(root, tid, text(leaf), OpenFlags.path)
    }

    /// O_PATH descriptor of what a thread has open under a number. A negated errno (ENOENT: nothing).
    public static func pin(of tid: Int32, descriptor: Int32) -> Int32 { pc_proc_pin_descriptor(root, tid, descriptor) }

    /// What a thread's descriptor was opened with (`O_*`), or a negated errno.
    public static func descriptorFlags(of tid: Int32, descriptor: Int32) -> Int64 {
        pc_proc_descriptor_flags(root, tid, descriptor)
    }

    /// RLIMIT_FSIZE in force for a thread's process, in bytes; `.max` for none, 0 if it cannot be read.
    public static func fileSizeLimit(of tid: Int32) -> UInt64 {
        let file = pc_proc_open(root, tid, text("limits"), OpenFlags.readOnly)
        guard file >= 0 else { return 0 }
        defer { _ = pc_close(file) }
        var limit: UInt64 = 0
        _ = LineReader.forEachLine(descriptor: file) { line in
            guard var rest = ByteText.suffix(of: line, after: "Max file size"), let soft = ByteText.nextField(&rest)
            else { return }
            limit = ByteText.decimal(soft) ?? .max
        }
        return limit
    }

    /// The arguments, each ended by a zero byte: the length. The process can change them; never decide on them.
    public static func commandLine(of pid: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        read(of: pid, "cmdline", into: buffer)
    }

    /// A file below /proc/<pid>, up to the size of the buffer: the length.
    public static func read(
        of pid: Int32, _ leaf: StaticString, into buffer: UnsafeMutableRawBufferPointer
    ) -> Int {
        read(of: pid, text(leaf), into: buffer)
    }

    /// The same for a leaf that is not a literal.
    @_disfavoredOverload
    public static func read(
        of pid: Int32, _ leaf: UnsafePointer<CChar>, into buffer: UnsafeMutableRawBufferPointer
    ) -> Int {
        guard let base = buffer.baseAddress else { return 0 }
        return pc_proc_read(root, pid, leaf, base, buffer.count)
    }

    /// Identity, parent, credentials and name of a thread (/proc/<tid>/status).
    public static func status(of tid: Int32, into status: inout ProcessStatus) -> Int32 {
        let file = pc_proc_open(root, tid, text("status"), OpenFlags.readOnly)
        guard file >= 0 else { return file }
        defer { _ = pc_close(file) }
        var fresh = ProcessStatus()
        let result = LineReader.forEachLine(descriptor: file) { line in fresh.take(line: line) }
        guard result >= 0 else { return result }
        guard fresh.tgid > 0 else { return -61 }  // ENODATA: not what the kernel writes
        status = fresh
        return 0
    }

    /// Identity, parent, credentials and name of a thread.
    public static func status(of tid: Int32) throws(KernelError) -> ProcessStatus {
        var status = ProcessStatus()
        try KernelError.check("read /proc/pid/status", Self.status(of: tid, into: &status))
        return status
    }

    /// Parent, session, terminal and start time (/proc/<tid>/stat).
    public static func stat(of tid: Int32, into stat: inout ProcessStat) -> Int32 {
        var storage = InlineArray<1024, UInt8>(repeating: 0)
        return withUnsafeMutableBytes(of: &storage) { buffer -> Int32 in
            let length = read(of: tid, "stat", into: buffer)
            guard length >= 0 else { return Int32(length) }
            guard let parsed = ProcessStat(UnsafeRawBufferPointer(rebasing: buffer[0..<length])) else { return -61 }
            stat = parsed
            return 0
        }
    }

    /// The same for a process whose directory in some mount of /proc is open.
    public static func stat(in directory: Int32, into stat: inout ProcessStat) -> Int32 {
        let file = pc_openat(directory, text("stat"), OpenFlags.readOnly, 0)
        guard file >= 0 else { return file }
        defer { _ = pc_close(file) }
        var storage = InlineArray<1024, UInt8>(repeating: 0)
        return withUnsafeMutableBytes(of: &storage) { buffer -> Int32 in
            let length = RawDescriptor.read(file, into: buffer)
            guard length >= 0 else { return Int32(length) }
            guard let parsed = ProcessStat(UnsafeRawBufferPointer(rebasing: buffer[0..<length])) else { return -61 }
            stat = parsed
            return 0
        }
    }

    /// Parent, session, terminal and start time.
    public static func stat(of tid: Int32) throws(KernelError) -> ProcessStat {
        var stat = ProcessStat()
        try KernelError.check("read /proc/pid/stat", Self.stat(of: tid, into: &stat))
        return stat
    }

    /// The system call a thread is blocked in (/proc/<tid>/syscall; needs CAP_SYS_PTRACE for other users' threads).
    public static func waitingSystemCall(of tid: Int32) -> SystemCallState {
        var storage = InlineArray<256, UInt8>(repeating: 0)
        return withUnsafeMutableBytes(of: &storage) { buffer -> SystemCallState in
            let length = read(of: tid, "syscall", into: buffer)
            guard length >= 0 else { return .unavailable(errno: Int32(-length)) }
            return SystemCallState(UnsafeRawBufferPointer(rebasing: buffer[0..<length]))
        }
    }
}
