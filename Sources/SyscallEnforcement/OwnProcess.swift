import Glibc
import LinuxKernel

/// What procfs has of the agent's own process. The kernel lets every thread look into its own process whatever ids and capabilities it has taken
/// on (ptrace(2), "access mode checking"): in somebody's name we would find there what nobody else finds, our descriptors and memory.
/// Shown is what everybody may read of everybody; the rest is not there to be had, for root either.
struct OwnProcess {
    /// Where a directory of procfs lies.
    private enum Place {
        case elsewhere
        /// It belongs to us: `/proc/<pid>` or `/proc/<pid>/task/<tid>` itself, or so many levels below it.
        case own(depth: Int)
        /// That cannot be told.
        case unknown
    }

    /// By these a process is told from outside: `ps`, `top`.
    private static let shown: [StaticString] = [
        "stat", "statm", "status", "cmdline", "comm", "task", "limits", "cgroup", "oom_score", "oom_score_adj",
        "schedstat", "wchan", ".", "..",
    ]
    /// `attr/apparmor` of a thread is the deepest directory.
    private static let depthLimit = 4

    /// Numbers may mean others in another pid namespace; the program does not. Guardian and worker have the same.
    private let program: ObjectStatus?

    /// Finds out which program this is.
    init() {
        var status = ObjectStatus()
        program = ProcFS.executableObject(of: getpid(), into: &status) == 0 ? status : nil
    }

    /// Whether an object on procfs, found under a name in a directory, is one that must not be looked at in somebody's name.
    ///
    /// - Parameter found: descriptor of the object itself, not of what it leads to.
    func hides(_ found: Int32, _ name: UnsafeRawBufferPointer, in directory: Int32) -> Bool {
        guard Self.isOnProcfs(directory) else { return false }
        switch place(of: directory) {
        case .elsewhere: return false
        case .unknown: return true
        case .own(depth: 0):
            return !Self.shown.contains { ByteText.suffix(of: name, after: $0)?.isEmpty == true }
        case .own:
            // Of what is below only the threads: directories with a number.
            let isDots = name.allSatisfy { $0 == UInt8(ascii: ".") }
            return !isDots && !(Self.number(name) != nil && Self.isDirectory(found))
        }
    }

    /// The same for what a link of procfs leads to, which has no name that was looked up.
    ///
    /// - Parameter buffer: room for a path.
    func hides(_ target: Int32, buffer: UnsafeMutableRawBufferPointer) -> Bool {
        guard Self.isOnProcfs(target) else { return false }
        if Self.isDirectory(target) {
            if case .elsewhere = place(of: target) { return false }
            return true
        }
        let length = PathName.ofDescriptor(target, into: buffer)
        guard length > 0, length < buffer.count else { return true }
        var rest = UnsafeRawBufferPointer(rebasing: buffer[..<length])
        while let start = rest.firstIndex(of: UInt8(ascii: "/")) {
            rest = UnsafeRawBufferPointer(rebasing: rest[(start + 1)...])
            let end = rest.firstIndex(of: UInt8(ascii: "/")) ?? rest.count
            let part = UnsafeRawBufferPointer(rebasing: rest[..<end])
            if let thread = Self.number(part), isOwn(thread) { return true }
        }
        return false
    }

    /// Whether a directory of procfs is the one of an agent's process, or below it.
    private func place(of directory: Int32) -> Place {
        guard let program else { return .unknown }
        var status = ObjectStatus()
        guard ObjectStatus.read(descriptor: directory, into: &status) == 0 else { return .unknown }
        let device = status.device
        var current = directory
        defer { if current != directory { RawDescriptor.close(current) } }
        for depth in 0..<Self.depthLimit {
            var running = ObjectStatus()
            let path: StaticString = "exe"
            if ObjectStatus.read(directory: current, path: CString.literal(path), follow: true, into: &running) == 0,
                running.isSameObject(as: program)
            {
                return .own(depth: depth)
            }
            // The root of procfs.
            if status.inode == 1 { return .elsewhere }
            let parent = ObjectCalls.pin(current, CString.literal(".."), follow: false)
            if current != directory { RawDescriptor.close(current) }
            current = parent >= 0 ? parent : directory
            // In our own directories we may look everywhere.
            if parent == -EACCES || parent == -ENOENT || parent == -ESRCH { return .elsewhere }
            guard parent >= 0, ObjectStatus.read(descriptor: parent, into: &status) == 0 else { return .unknown }
            if status.device != device { return .elsewhere }
        }
        return .elsewhere
    }

    /// Whether a thread runs our program.
    private func isOwn(_ thread: Int32) -> Bool {
        var running = ObjectStatus()
        guard ProcFS.executableObject(of: thread, into: &running) == 0 else { return false }
        return program.map { running.isSameObject(as: $0) } ?? true
    }

    /// The number of a process or thread; `nil` for another name.
    private static func number(_ name: UnsafeRawBufferPointer) -> Int32? {
        guard !name.isEmpty, name.count <= 9 else { return nil }
        var number: Int32 = 0
        for byte in name {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            number = number * 10 + Int32(byte - UInt8(ascii: "0"))
        }
        return number
    }

    /// Whether an object lies on procfs.
    static func isOnProcfs(_ object: Int32) -> Bool {
        ObjectCalls.filesystem(of: object)?.type == ObjectCalls.procFilesystem
    }

    private static func isDirectory(_ object: Int32) -> Bool {
        var status = ObjectStatus()
        return ObjectStatus.read(descriptor: object, into: &status) == 0 && status.isDirectory
    }
}
