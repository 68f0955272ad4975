/// What /proc/<tid>/status tells about a thread and its process.
public struct ProcessStatus: Equatable, Sendable {
    /// Real, effective, saved and file system id.
    public struct Identities: Equatable, Sendable {
        /// Real id.
        public var real: UInt32 = 0
        /// Effective id.
        public var effective: UInt32 = 0
        /// Saved id.
        public var saved: UInt32 = 0
        /// The id that file access is checked with.
        public var fileSystem: UInt32 = 0
    }

    /// The name.
    public var comm = ProcessName()
    /// The process (thread group).
    public var tgid: Int32 = 0
    /// The thread.
    public var pid: Int32 = 0
    /// The parent process; 0 for the first of a pid namespace and for one whose parent is outside ours.
    public var ppid: Int32 = 0
    /// The process tracing this thread, 0 if none.
    public var tracer: Int32 = 0
    /// User ids, in our user namespace.
    public var uid = Identities()
    /// Group ids, in our user namespace.
    public var gid = Identities()
    /// The thread's id in its own, innermost, pid namespace.
    public var namespacePID: Int32 = 0
    /// The process's id in its own, innermost, pid namespace.
    public var namespaceTGID: Int32 = 0
    /// How many pid namespaces deep the process is, seen from ours (1 = ours).
    public var namespaceDepth: Int = 0
    /// The number of threads.
    public var threads: Int32 = 0
    /// Capabilities.
    public var effectiveCapabilities: CapabilitySet = []
    /// Capabilities.
    public var permittedCapabilities: CapabilitySet = []
    /// Capabilities.
    public var inheritableCapabilities: CapabilitySet = []
    /// Capabilities.
    public var boundingCapabilities: CapabilitySet = []
    /// Capabilities.
    public var ambientCapabilities: CapabilitySet = []
    /// Whether no_new_privs is set.
    public var noNewPrivileges = false
    /// 0 = none, 1 = strict, 2 = filter.
    public var seccompMode: Int32 = 0
    /// Whether the kernel says that this is one of its own threads (Linux 6.8; false before).
    public var isKernelThread = false

    /// All zero.
    public init() {}

    mutating func take(line: UnsafeRawBufferPointer) {
        if let name = ByteText.suffix(of: line, after: "Name:\t") {
            takeName(name)
            return
        }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return }
        var rest = UnsafeRawBufferPointer(rebasing: line[(colon + 1)...])
        let key = UnsafeRawBufferPointer(rebasing: line[...colon])
        if Self.matches(key, "Tgid:") {
            tgid = Self.int32(&rest)
        } else if Self.matches(key, "Pid:") {
            pid = Self.int32(&rest)
        } else if Self.matches(key, "PPid:") {
            ppid = Self.int32(&rest)
        } else if Self.matches(key, "TracerPid:") {
            tracer = Self.int32(&rest)
        } else if Self.matches(key, "Uid:") {
            uid = Self.identities(&rest)
        } else if Self.matches(key, "Gid:") {
            gid = Self.identities(&rest)
        } else if Self.matches(key, "NStgid:") {
            (namespaceTGID, namespaceDepth) = Self.last(&rest)
        } else if Self.matches(key, "NSpid:") {
            (namespacePID, namespaceDepth) = Self.last(&rest)
        } else if Self.matches(key, "Threads:") {
            threads = Self.int32(&rest)
        } else if Self.matches(key, "Kthread:") {
            isKernelThread = Self.int32(&rest) != 0
        } else if Self.matches(key, "NoNewPrivs:") {
            noNewPrivileges = Self.int32(&rest) != 0
        } else if Self.matches(key, "Seccomp:") {
            seccompMode = Self.int32(&rest)
        } else if Self.matches(key, "CapInh:") {
            inheritableCapabilities = Self.capabilities(&rest)
        } else if Self.matches(key, "CapPrm:") {
            permittedCapabilities = Self.capabilities(&rest)
        } else if Self.matches(key, "CapEff:") {
            effectiveCapabilities = Self.capabilities(&rest)
        } else if Self.matches(key, "CapBnd:") {
            boundingCapabilities = Self.capabilities(&rest)
        } else if Self.matches(key, "CapAmb:") {
            ambientCapabilities = Self.capabilities(&rest)
        }
    }

    /// The kernel writes a newline as "\n" and a backslash as "\\" here, so that a name cannot fake a line.
    private mutating func takeName(_ text: UnsafeRawBufferPointer) {
        comm = ProcessName()
        var index = 0
        while index < text.count {
            var byte = text[index]
            if byte == UInt8(ascii: "\\"), index + 1 < text.count {
                index += 1
                byte = text[index] == UInt8(ascii: "n") ? UInt8(ascii: "\n") : text[index]
            }
            comm.append(byte)
            index += 1
        }
    }

    private static func matches(_ key: UnsafeRawBufferPointer, _ literal: StaticString) -> Bool {
        ByteText.suffix(of: key, after: literal)?.isEmpty == true
    }

    private static func int32(_ text: inout UnsafeRawBufferPointer) -> Int32 {
        guard let field = ByteText.nextField(&text), let value = ByteText.signed(field) else { return 0 }
        return Int32(exactly: value) ?? 0
    }

    private static func uint32(_ text: inout UnsafeRawBufferPointer) -> UInt32 {
        // An id that cannot be read must not look like root.
        guard let field = ByteText.nextField(&text), let value = ByteText.decimal(field) else { return .max }
        return UInt32(exactly: value) ?? .max
    }

    private static func identities(_ text: inout UnsafeRawBufferPointer) -> Identities {
        Identities(
            real: uint32(&text), effective: uint32(&text), saved: uint32(&text), fileSystem: uint32(&text))
    }

    private static func capabilities(_ text: inout UnsafeRawBufferPointer) -> CapabilitySet {
        guard let field = ByteText.nextField(&text), let value = ByteText.hexadecimal(field) else { return [] }
        return CapabilitySet(rawValue: value)
    }

    private static func last(_ text: inout UnsafeRawBufferPointer) -> (Int32, Int) {
        var value: Int32 = 0
        var depth = 0
        while let field = ByteText.nextField(&text), let number = ByteText.decimal(field) {
            value = Int32(exactly: number) ?? 0
            depth += 1
        }
        return (value, depth)
    }
}
