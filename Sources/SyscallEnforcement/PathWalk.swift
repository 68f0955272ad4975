import Glibc
import LinuxKernel

/// Finds what a path of a waiting thread means, in that thread's name: component by component on descriptors, so that nothing is
/// looked up twice and what was found cannot be exchanged. Holds buffers only; allocated once.
///
/// Where no symbolic link is on the way the kernel does it in one step. Otherwise each link is followed here, because some mean
/// something else for us than for the thread: `/proc/self`.
struct PathWalk {
    /// What is wanted.
    enum Goal {
        /// An object that exists.
        case object(follow: Bool)
        /// A name in a directory, and the object of that name if there is one: to be made, removed, renamed.
        case entry
        /// An object, or else a name to be made: open(2) with O_CREAT.
        case creation(follow: Bool)
    }

    /// Descriptors of the directory of the last name, and of the object; negative where there is none. Owned by the walk until the
    /// next one.
    private(set) var directory: Int32 = -1
    private(set) var object: Int32 = -1
    /// Type of the file system that the object is on; `nil` where the walk did not have to know.
    private(set) var filesystem: Int64?
    /// For `.entry`: why the object of the last name cannot be looked up, a negated errno; 0 if it was, or is not there.
    private(set) var lookupError: Int32 = 0
    /// The last name in its directory, with the slashes behind it; valid while `directory` is.
    var name: UnsafePointer<CChar> { UnsafePointer(rest + nameStart) }
    /// The last name without slashes.
    var nameBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: rest + nameStart, count: nameLength) }

    private static let capacity = 16384
    /// As the kernel has it (path_resolution(7)).
    private static let linkLimit = 40
    private static let slash = CChar(bitPattern: UInt8(ascii: "/"))
    /// `ST_NOSYMFOLLOW`, statfs(2), Linux 5.10.
    private static let noSymbolicLinks: Int64 = 0x2000

    private var rest = UnsafeMutablePointer<CChar>.allocate(capacity: capacity)
    private var spare = UnsafeMutablePointer<CChar>.allocate(capacity: capacity)
    private var length = 0
    private var nameStart = 0
    private var nameLength = 0
    private var links = 0
    /// The directory looked in was reached through `/proc/self` and nothing else that could lead elsewhere.
    private(set) var isOwnProcess = false
    /// That directory is the one of descriptors, or of namespaces.
    private var isOwnList = false
    private let protectsLinks: Bool
    private let own = OwnProcess()

    /// Reads the kernel's settings.
    init() { protectsLinks = (try? KernelSetting.number("fs/protected_symlinks")) != 0 }

    /// Closes what the last walk found.
    mutating func close() {
        if directory >= 0 { RawDescriptor.close(directory) }
        if object >= 0 { RawDescriptor.close(object) }
        (directory, object, filesystem) = (-1, -1, nil)
    }

    /// Gives the object to the caller, who closes it.
    mutating func takeObject() -> Int32 {
        defer { object = -1 }
        return object
    }

    /// Makes a descriptor that was found otherwise the object; it is the walk's then.
    mutating func adopt(object descriptor: Int32) {
        close()
        object = descriptor
    }

    /// Walks `path`, as the thread whose credentials these are and whose identity the calling thread has.
    ///
    /// - Parameters:
    ///   - path: ended by a zero byte.
    ///   - start: O_PATH descriptor that a relative path starts from; stays the caller's.
    /// - Returns: 0 or a negated errno. For `.entry` and `.creation` a missing object is no error.
    mutating func find(
        _ path: UnsafePointer<CChar>, from start: Int32, _ goal: Goal, as caller: borrowing FileCredentials,
        _ identity: inout AssumedIdentity, honoursCapabilities: Bool
    ) -> Int32 {
        close()
        lookupError = 0
        length = strlen(path)
        guard length < Self.capacity else { return -ENAMETOOLONG }
        rest.update(from: path, count: length + 1)
        (links, isOwnProcess, isOwnList) = (0, false, false)
        let isAbsolute = rest[0] == Self.slash
        if let result = findDirectly(from: start, goal) { return result }
        let current = isAbsolute ? Self.root() : RawDescriptor.duplicate(start)
        guard current >= 0 else { return current }
        return walk(current, goal, caller, &identity, honoursCapabilities)
    }

    // MARK: - Without links

    /// The kernel's own walk, `nil` when there is a link on the way, when it ends on procfs, where what lies on the way has to be seen
    /// (`OwnProcess`), or when the kernel has no openat2 (5.6).
    private mutating func findDirectly(from start: Int32, _ goal: Goal) -> Int32? {
        if case .object(let follow) = goal {
            let found = ObjectCalls.pin(start, rest, follow: follow, resolve: ObjectCalls.noSymbolicLinks)
            if found == -ELOOP || found == -ENOSYS { return nil }
            if found >= 0 { filesystem = ObjectCalls.filesystem(of: found)?.type }
            if filesystem == ObjectCalls.procFilesystem {
                RawDescriptor.close(found)
                filesystem = nil
                return nil
            }
            object = max(found, -1)
            return min(found, 0)
        }
        splitLast()
        guard nameLength > 0 else { return nil }
        var parent: Int32
        if nameStart == 0 {
            parent = RawDescriptor.duplicate(start)
        } else {
            let kept = rest[nameStart]
            rest[nameStart] = 0
            parent = ObjectCalls.pin(
                start, rest, follow: true, directoryOnly: true, resolve: ObjectCalls.noSymbolicLinks)
            rest[nameStart] = kept
        }
        if parent == -ELOOP || parent == -ENOSYS { return nil }
        guard parent >= 0 else { return parent }
        if OwnProcess.isOnProcfs(parent) {
            RawDescriptor.close(parent)
            return nil
        }
        let found = pinName(in: parent)
        if found >= 0, case .creation(let follow) = goal, follow, !hasTrailingSlash, Self.isLink(found) {
            RawDescriptor.close(found)
            RawDescriptor.close(parent)
            return nil
        }
        return conclude(parent, found, goal)
    }

    /// Finds the last component: the bytes before the slashes at the end, back to the slash before it.
    private mutating func splitLast() {
        var end = length
        while end > 0, rest[end - 1] == Self.slash { end -= 1 }
        var begin = end
        while begin > 0, rest[begin - 1] != Self.slash { begin -= 1 }
        (nameStart, nameLength) = (begin, end - begin)
    }

    private var hasTrailingSlash: Bool { rest[nameStart + nameLength] != 0 }

    private func pinName(in parent: Int32, follow: Bool = false) -> Int32 {
        let kept = rest[nameStart + nameLength]
        rest[nameStart + nameLength] = 0
        defer { rest[nameStart + nameLength] = kept }
        return ObjectCalls.pin(parent, rest + nameStart, follow: follow)
    }

    /// Ends a walk at its last name.
    private mutating func conclude(_ parent: Int32, _ found: Int32, _ goal: Goal) -> Int32 {
        directory = parent
        if found >= 0 { object = found }
        // The kernel asks for the right to look into the directory before it looks at the name.
        if found == -EACCES { return found }
        // open(2) makes no directory, and O_CREAT with a slash at the end asks for one.
        if case .creation = goal, hasTrailingSlash { return -EISDIR }
        let error = found >= 0 || found == -ENOENT ? 0 : found
        guard case .entry = goal else { return error }
        lookupError = error
        return 0
    }

    // MARK: - With links

    private mutating func walk(
        _ start: Int32, _ goal: Goal, _ caller: borrowing FileCredentials, _ identity: inout AssumedIdentity,
        _ honoursCapabilities: Bool
    ) -> Int32 {
        var current = start
        var at = 0
        while true {
            while rest[at] == Self.slash { at += 1 }
            if rest[at] == 0 {
                object = current
                return 0
            }
            nameStart = at
            while rest[at] != 0, rest[at] != Self.slash { at += 1 }
            nameLength = at - nameStart
            var next = at
            while rest[next] == Self.slash { next += 1 }
            let isLast = rest[next] == 0
            var found = pinName(in: current)
            // A process may always look at its own, also where the kernel takes us for somebody else.
            if found == -EACCES, isOwnProcess, isOwnList {
                found = withOwnRights(caller, &identity, honoursCapabilities) { $0.pinName(in: current) }
            }
            if found >= 0, own.hides(found, nameBytes, in: current) {
                RawDescriptor.close(found)
                RawDescriptor.close(current)
                return -EACCES
            }
            if isLast, case .entry = goal { return conclude(current, found, goal) }
            if isLast, case .creation = goal, found == -ENOENT || hasTrailingSlash {
                return conclude(current, found, goal)
            }
            guard found >= 0 else {
                RawDescriptor.close(current)
                return found
            }
            var status = ObjectStatus()
            var result = ObjectStatus.read(descriptor: found, into: &status)
            if result == 0, status.isSymbolicLink, !isLast || hasTrailingSlash || Self.follows(goal) {
                result = follow(
                    found, status, at: next, &current, caller, &identity, honoursCapabilities)
                RawDescriptor.close(found)
                guard result == 0 else {
                    RawDescriptor.close(current)
                    return result
                }
                at = 0
                continue
            }
            if result == 0, !isLast || hasTrailingSlash, !status.isDirectory { result = -ENOTDIR }
            guard result == 0 else {
                RawDescriptor.close(found)
                RawDescriptor.close(current)
                return result
            }
            if isLast, case .creation = goal { return conclude(current, found, goal) }
            if isName("..") { isOwnProcess = false }
            isOwnList = isName("fd") || isName("ns") || isName(".") && isOwnList
            RawDescriptor.close(current)
            current = found
            at = next
        }
    }

    /// Replaces the link in `rest` by what it points to; `current` becomes the directory that is relative to. What follows the
    /// link begins at `remainder`.
    private mutating func follow(
        _ link: Int32, _ status: ObjectStatus, at remainder: Int, _ current: inout Int32,
        _ caller: borrowing FileCredentials, _ identity: inout AssumedIdentity, _ honoursCapabilities: Bool
    ) -> Int32 {
        links += 1
        guard links <= Self.linkLimit else { return -ELOOP }
        guard let filesystem = ObjectCalls.filesystem(of: link) else { return -EACCES }
        if filesystem.flags & Self.noSymbolicLinks != 0 { return -ELOOP }
        var holder = ObjectStatus()
        let result = ObjectStatus.read(descriptor: current, into: &holder)
        guard result == 0 else { return result }
        // proc(5), fs.protected_symlinks: in a sticky directory that everybody may write, only one's own or the directory's owner's.
        if protectsLinks, holder.mode & 0o1002 == 0o1002, status.uid != caller.user, status.uid != holder.uid {
            return -EACCES
        }
        guard filesystem.type == ObjectCalls.procFilesystem else { return replace(link, at: remainder, &current) }
        if holder.inode == 1 {
            let isThread = isName("thread-self")
            if isThread || isName("self") {
                return replaceByProcess(
                    caller, &identity, honoursCapabilities, thread: isThread, at: remainder, current, holder.device)
            }
            return replace(link, at: remainder, &current)
        }
        return jump(at: remainder, &current, caller, &identity, honoursCapabilities)
    }

    /// A link whose text is the way.
    private mutating func replace(_ link: Int32, at remainder: Int, _ current: inout Int32) -> Int32 {
        let room = UnsafeMutableRawBufferPointer(start: spare, count: 4097)
        let count = PathName.readLink(directory: link, CString.literal(""), into: room)
        guard count > 0 else { return count == 0 ? -ENOENT : Int32(count) }
        if spare[0] == Self.slash {
            let root = Self.root()
            guard root >= 0 else { return root }
            RawDescriptor.close(current)
            current = root
        }
        isOwnProcess = false
        return append(remainder, after: count)
    }

    /// `self` means the thread that waits, by its number in the pid namespace of this mount of /proc.
    private mutating func replaceByProcess(
        _ caller: borrowing FileCredentials, _ identity: inout AssumedIdentity, _ honoursCapabilities: Bool,
        thread: Bool, at remainder: Int, _ current: Int32, _ device: UInt64
    ) -> Int32 {
        // In another mount of procfs the number could be another process's, unless it is the mount of the caller's own namespace: otherwise
        // nothing is looked at with our own rights there.
        let isOurs = caller.depth == 1 && device == ProcFS.device
        let process = caller.process
        var isOwn = isOurs
        if !isOwn {
            let found = withOwnRights(caller, &identity, honoursCapabilities) { _ in
                Self.isNamespace(of: process, current) ? -EEXIST : -ENOENT
            }
            isOwn = found == -EEXIST
        }
        for level in stride(from: caller.depth - 1, through: 0, by: -1) {
            var count = DecimalText.write(caller.processIDs[level], to: spare, at: 0)
            spare[count] = 0
            if !isOwn, !Self.isProcess(process, spare, in: current) { continue }
            if thread {
                for byte in "/task/".utf8 {
                    spare[count] = CChar(bitPattern: byte)
                    count += 1
                }
                count = DecimalText.write(caller.threadIDs[level], to: spare, at: count)
            }
            (isOwnProcess, isOwnList) = (isOwn, false)
            return append(remainder, after: count)
        }
        return -ENOENT
    }

    /// A link of procfs that leads to an object, not along a path: `/proc/<pid>/fd/3`, `cwd`, `root`, `exe`. The kernel follows it,
    /// and checks whether the thread may; its own ones it always may.
    private mutating func jump(
        at remainder: Int, _ current: inout Int32, _ caller: borrowing FileCredentials,
        _ identity: inout AssumedIdentity, _ honoursCapabilities: Bool
    ) -> Int32 {
        let isDirectory = hasTrailingSlash
        var target = pinName(in: current, follow: true)
        if target == -EACCES || target == -EPERM, isOwnProcess,
            isOwnList || isName("cwd") || isName("root") || isName("exe")
        {
            let holder = current
            target = withOwnRights(caller, &identity, honoursCapabilities) { $0.pinName(in: holder, follow: true) }
        }
        guard target >= 0 else { return target }
        if own.hides(target, buffer: UnsafeMutableRawBufferPointer(start: spare, count: Self.capacity)) {
            RawDescriptor.close(target)
            return -EACCES
        }
        RawDescriptor.close(current)
        current = target
        (isOwnProcess, isOwnList) = (false, false)
        // A slash after it asks for a directory.
        if isDirectory, !Self.isDirectory(target) { return -ENOTDIR }
        return append(remainder, after: 0)
    }

    /// Looks with our own rights.
    private func withOwnRights(
        _ caller: borrowing FileCredentials, _ identity: inout AssumedIdentity, _ honoursCapabilities: Bool,
        _ look: (PathWalk) -> Int32
    ) -> Int32 {
        _ = identity.regain()
        let found = look(self)
        let result = identity.become(caller, honoursCapabilities: honoursCapabilities)
        guard result != 0 else { return found }
        RawDescriptor.close(found)
        return result
    }

    /// Puts what is left of the path behind the first `count` bytes of the other buffer, which becomes the path.
    private mutating func append(_ remainder: Int, after count: Int) -> Int32 {
        var used = count
        // The slashes behind the link's name belong to what it leads to.
        if count > 0, hasTrailingSlash {
            spare[used] = Self.slash
            used += 1
        }
        let left = length - remainder
        guard used + left < Self.capacity else { return -ENAMETOOLONG }
        (spare + used).update(from: rest + remainder, count: left)
        spare[used + left] = 0
        length = used + left
        swap(&rest, &spare)
        return 0
    }

    // MARK: - Parts

    private static func root() -> Int32 {
        ObjectCalls.pin(OpenFlags.currentDirectory, CString.literal("/"), follow: true)
    }

    private static func follows(_ goal: Goal) -> Bool {
        switch goal {
        case .object(let follow), .creation(let follow): follow
        case .entry: false
        }
    }

    private func isName(_ text: StaticString) -> Bool {
        guard nameLength == text.utf8CodeUnitCount else { return false }
        for index in 0..<nameLength where UInt8(bitPattern: rest[nameStart + index]) != text.utf8Start[index] {
            return false
        }
        return true
    }

    private static func isLink(_ object: Int32) -> Bool {
        var status = ObjectStatus()
        return ObjectStatus.read(descriptor: object, into: &status) == 0 && status.isSymbolicLink
    }

    private static func isDirectory(_ object: Int32) -> Bool {
        var status = ObjectStatus()
        return ObjectStatus.read(descriptor: object, into: &status) == 0 && status.isDirectory
    }

    /// Whether the process of this name in a mount of /proc is the one that we know as `process`.
    /// Whether a mount of procfs shows a process's own pid namespace: its first process is in the one that it shows (pid_namespaces(7)).
    private static func isNamespace(of process: Int32, _ proc: Int32) -> Bool {
        let namespace = ObjectCalls.pin(proc, CString.literal("1/ns/pid"), follow: true)
        guard namespace >= 0 else { return false }
        defer { RawDescriptor.close(namespace) }
        var (shown, own) = (ObjectStatus(), ObjectStatus())
        return ObjectStatus.read(descriptor: namespace, into: &shown) == 0
            && ProcFS.object(of: process, "ns/pid", into: &own) == 0 && own.isSameObject(as: shown)
    }

    private static func isProcess(_ process: Int32, _ name: UnsafePointer<CChar>, in proc: Int32) -> Bool {
        var (ours, theirs) = (ProcessStat(), ProcessStat())
        let directory = ObjectCalls.pin(proc, name, follow: false)
        guard directory >= 0 else { return false }
        defer { RawDescriptor.close(directory) }
        return ProcFS.stat(of: process, into: &ours) == 0 && ProcFS.stat(in: directory, into: &theirs) == 0
            && ours.startTime == theirs.startTime && ours.comm == theirs.comm
    }
}
