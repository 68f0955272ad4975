import CLinux

/// What the kernel checks a thread's access to files with (credentials(7)), and the thread's ids in its own pid namespaces. One
/// value, reused; its buffer is allocated once.
public struct FileCredentials {
    /// Supplementary groups that are kept; a thread with more cannot be stood in for.
    public static let groupLimit = 256
    /// Pid namespaces, one in the other (pid_namespaces(7)).
    public static let depthLimit = 32

    /// The process (thread group).
    public private(set) var process: Int32 = 0
    /// The file system user id, in our user namespace.
    public private(set) var user: UInt32 = .max
    /// The file system group id, in our user namespace.
    public private(set) var group: UInt32 = .max
    /// A thread's user or group ids.
    public struct IDs: Equatable, Sendable {
        /// Whose it is.
        public var real: UInt32 = .max
        /// By which its rights are checked.
        public var effective: UInt32 = .max
        /// To which it may go back.
        public var saved: UInt32 = .max

        /// Whether it is one of them.
        public func contains(_ id: UInt32) -> Bool { id == real || id == effective || id == saved }
    }
    /// The user ids other than that for files.
    public private(set) var users = IDs()
    /// The group ids other than that for files.
    public private(set) var userGroups = IDs()
    /// How many threads the process has.
    public private(set) var threads = 0
    /// Bits that new objects do not get.
    public private(set) var umask: UInt32 = 0o777
    /// Capabilities in effect, in the thread's user namespace.
    public private(set) var effective: CapabilitySet = []
    /// How many of `groups` there are.
    public private(set) var groupCount = 0
    /// Supplementary groups.
    public let groups = UnsafeMutablePointer<UInt32>.allocate(capacity: groupLimit)
    /// The process's id in each pid namespace it is in, ours first.
    public private(set) var processIDs = InlineArray<32, Int32>(repeating: 0)
    /// The thread's id in each of them.
    public private(set) var threadIDs = InlineArray<32, Int32>(repeating: 0)
    /// How many there are.
    public private(set) var depth = 0
    private var seen = 0
    private var isCut = false
    private let files = StatusFiles()

    /// Room for one thread's.
    public init() {}

    /// Gives the buffers back.
    public func deallocate() {
        groups.deallocate()
        files.deallocate()
    }

    /// Reads those of a thread: 0 or a negated errno (E2BIG: more groups or namespaces than fit).
    public mutating func read(of thread: Int32) -> Int32 {
        var (file, isNew) = files.find(thread)
        guard file >= 0 else { return file }
        var result = readLines(file)
        // The thread that it was kept for is no more, and its number another's.
        if result < 0, !isNew {
            (file, isNew) = files.reopen(thread)
            guard file >= 0 else { return file }
            result = readLines(file)
        }
        guard result >= 0 else { return result }
        if isCut { return -7 }  // E2BIG
        // Every line that counts, or it is not what the kernel writes.
        return seen == Self.complete ? 0 : -61
    }

    private static let complete = 0b1111_1111

    private mutating func readLines(_ file: Int32) -> Int32 {
        (seen, isCut, groupCount, depth) = (0, false, 0, 0)
        return LineReader.forEachLine(descriptor: file) { line in
            take(line)
            return seen != Self.complete
        }
    }

    private mutating func take(_ line: UnsafeRawBufferPointer) {
        if var rest = ByteText.suffix(of: line, after: "Umask:") {
            umask = ByteText.nextField(&rest).flatMap { Self.octal($0) } ?? 0o777
            seen |= 1
        } else if var rest = ByteText.suffix(of: line, after: "Tgid:") {
            process = Self.number(&rest)
            seen |= 2
        } else if let rest = ByteText.suffix(of: line, after: "Uid:") {
            if let (ids, id) = Self.ids(rest) {
                (users, user) = (ids, id)
                seen |= 4
            }
        } else if let rest = ByteText.suffix(of: line, after: "Gid:") {
            if let (ids, id) = Self.ids(rest) {
                (userGroups, group) = (ids, id)
                seen |= 8
            }
        } else if var rest = ByteText.suffix(of: line, after: "Groups:") {
            if line.count == LineReader.capacity { isCut = true }
            while let field = ByteText.nextField(&rest) {
                guard let id = ByteText.decimal(field).flatMap({ UInt32(exactly: $0) }), groupCount < Self.groupLimit
                else {
                    isCut = true
                    return
                }
                groups[groupCount] = id
                groupCount += 1
            }
            seen |= 16
        } else if var rest = ByteText.suffix(of: line, after: "NStgid:") {
            takeIDs(&rest, isProcess: true)
        } else if var rest = ByteText.suffix(of: line, after: "NSpid:") {
            takeIDs(&rest, isProcess: false)
            seen |= 32
        } else if var rest = ByteText.suffix(of: line, after: "Threads:") {
            threads = Int(Self.number(&rest))
            seen |= 128
        } else if var rest = ByteText.suffix(of: line, after: "CapEff:") {
            if let value = ByteText.nextField(&rest).flatMap({ ByteText.hexadecimal($0) }) {
                effective = CapabilitySet(rawValue: value)
                seen |= 64
            }
        }
    }

    private mutating func takeIDs(_ text: inout UnsafeRawBufferPointer, isProcess: Bool) {
        depth = 0
        while let field = ByteText.nextField(&text) {
            guard depth < Self.depthLimit else {
                isCut = true
                return
            }
            let id = Int32(truncatingIfNeeded: ByteText.decimal(field) ?? 0)
            if isProcess { processIDs[depth] = id } else { threadIDs[depth] = id }
            depth += 1
        }
    }

    private static func number(_ text: inout UnsafeRawBufferPointer) -> Int32 {
        ByteText.nextField(&text).flatMap { ByteText.decimal($0) }.map { Int32(truncatingIfNeeded: $0) } ?? 0
    }

    /// Real, effective and saved id, and that for files.
    private static func ids(_ text: UnsafeRawBufferPointer) -> (IDs, UInt32)? {
        var rest = text
        func next() -> UInt32? {
            ByteText.nextField(&rest).flatMap { ByteText.decimal($0) }.flatMap { UInt32(exactly: $0) }
        }
        guard let real = next(), let effective = next(), let saved = next(), let files = next() else { return nil }
        return (IDs(real: real, effective: effective, saved: saved), files)
    }

    private static func octal(_ text: UnsafeRawBufferPointer) -> UInt32? {
        var value: UInt32 = 0
        for byte in text {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "7"), value < 0o1000 else { return nil }
            value = value << 3 | UInt32(byte - UInt8(ascii: "0"))
        }
        return value
    }
}
