import FileEnforcement
import Glibc
import LinuxKernel

/// Performs calls that open for writing, or change a name or metadata, in the name of the thread that waits: the arguments are copied
/// once, the paths resolved once to descriptors, the rules asked about those, and the call made on those, with the thread's own
/// rights. What another thread does to the memory or the names meanwhile changes nothing (docs/adr/0009).
///
/// Belongs to one thread. Holds buffers only; allocated once.
struct PathCallBroker {
    /// How a call ends.
    enum Answer: Equatable {
        /// A result, or a negated errno.
        case result(Int)
        /// The caller gets a copy of this descriptor, which is then to be closed.
        case descriptor(Int32, closeOnExec: Bool)
        /// The caller may execute this object: the kernel performs the call, and what it then runs is compared.
        case execution(Program)
        /// The call would wait for somebody else: it is to be tried again.
        case waits
    }

    /// A program that was decided on.
    struct Program: Equatable {
        var device: UInt64
        var inode: UInt64
        /// What the call named it relative to.
        var directory: Int32
    }

    /// Where calls are denied.
    static let denied = Answer.result(-Int(EACCES))

    var identity: AssumedIdentity
    var caller = FileCredentials()
    var walk = PathWalk()
    private var newWalk = PathWalk()
    let path = UnsafeMutableBufferPointer<CChar>.allocate(capacity: Int(PATH_MAX))
    private var newPathError: Int32 = 0
    private let newPath = UnsafeMutableBufferPointer<CChar>.allocate(capacity: Int(PATH_MAX))
    /// XATTR_NAME_MAX and XATTR_SIZE_MAX, xattr(7).
    private let attributeName = UnsafeMutableBufferPointer<CChar>.allocate(capacity: 256)
    let value = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 8)
    private let sticky = StickyRules()

    /// For the calling thread.
    ///
    /// - Throws: when it cannot have a root and a directory of its own.
    init() throws(KernelError) { identity = try AssumedIdentity() }

    /// Performs a call, or refuses it.
    ///
    /// - Parameter unanswered: where the call is looked for and begun, if it can come twice.
    mutating func run(
        _ call: PathCall, _ notification: SystemCallNotification, in tree: TreeTable.Tree, _ judge: inout CallJudge,
        _ state: UnsafePointer<EnforcementState>, unanswered: UnansweredCalls?
    ) -> Answer {
        defer {
            walk.close()
            newWalk.close()
        }
        let thread = notification.thread
        if call.refusal != 0 { return .result(-Int(call.refusal)) }
        guard caller.read(of: thread) == 0 else {
            _ = judge.fail(.factUnavailable, .file, state)
            return Self.denied
        }
        if call.operation == .bind { return bind(call, notification, tree, &judge, state, unanswered) }
        var result = copyArguments(call, thread)
        guard result == 0 else { return .result(Int(result)) }
        if let unanswered {
            switch unanswered.begin(notification, argumentHash(call)) {
            case .new: break
            case .underWay: return .waits
            case .done(let answer): return answer
            }
        }
        result = locate(call, thread, tree)
        // What was read is about the thread that waits only if it still does.
        guard SystemCallListener.isWaiting(tree.listener, notification.id) else { return .result(-Int(EINTR)) }
        guard result == 0 else { return .result(Int(result)) }
        switch call.operation {
        case .open: return open(call, tree, thread, &judge, state)
        case .execute: return execute(call, &judge, state)
        case .bind: return Self.denied
        case .unlink: return unlink(call, tree, &judge, state)
        case .rename: return rename(call, tree, &judge, state)
        case .link: return link(call, tree, &judge, state)
        case .symlink, .makeDirectory, .makeNode: return make(call, tree, &judge, state)
        case .truncate, .setMode, .setOwner, .setAttribute, .removeAttribute, .setTimes:
            return change(call, tree, thread, &judge, state)
        }
    }

    // MARK: - Arguments

    /// Copies everything that the call has in memory: 0 or a negated errno.
    private mutating func copyArguments(_ call: PathCall, _ thread: Int32) -> Int32 {
        if !call.isDescriptor {
            let length = ThreadMemory.string(thread, at: call.path.address, into: path)
            if length < 0 { return Int32(length) }
            if length == 0, !call.mayBeEmpty { return -ENOENT }
        }
        switch call.operation {
        case .rename, .link:
            let length = ThreadMemory.string(thread, at: call.newPath.address, into: newPath)
            // It counts only once the other path was found.
            newPathError = length > 0 ? 0 : length < 0 ? Int32(length) : -ENOENT
            return 0
        case .symlink:
            let length = ThreadMemory.string(thread, at: call.valueAddress, into: newPath)
            return length > 0 ? 0 : length < 0 ? Int32(length) : -ENOENT
        case .setAttribute, .removeAttribute: return copyAttribute(call, thread)
        default: return 0
        }
    }

    private func copyAttribute(_ call: PathCall, _ thread: Int32) -> Int32 {
        let length = ThreadMemory.string(thread, at: call.nameAddress, into: attributeName)
        // setxattr(2): a name that is empty or too long.
        if length == 0 || length == -Int(ENAMETOOLONG) { return -ERANGE }
        if length < 0 { return Int32(length) }
        guard call.valueLength <= UInt64(value.count) else { return -E2BIG }
        return ThreadMemory.read(
            thread, at: call.valueAddress,
            into: UnsafeMutableRawBufferPointer(rebasing: value[..<Int(call.valueLength)]))
    }

    /// FNV-1a of what was copied.
    private func argumentHash(_ call: PathCall) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func add(_ text: UnsafeMutableBufferPointer<CChar>) {
            for character in text {
                hash = (hash ^ UInt64(UInt8(bitPattern: character))) &* 0x100_0000_01B3
                if character == 0 { return }
            }
        }
        if !call.isDescriptor { add(path) }
        switch call.operation {
        case .rename, .link, .symlink: add(newPath)
        case .setAttribute, .removeAttribute: add(attributeName)
        default: break
        }
        return hash
    }

    // MARK: - Names

    /// Resolves the call's path or paths: 0 or a negated errno.
    private mutating func locate(_ call: PathCall, _ thread: Int32, _ tree: TreeTable.Tree) -> Int32 {
        if call.isDescriptor || call.mayBeEmpty && path[0] == 0 {
            let object = start(call.path.directory, thread)
            guard object >= 0 else { return object }
            if call.isDescriptor, call.path.directory >= 0, isPathOnly(call.path.directory, thread) {
                RawDescriptor.close(object)
                return -EBADF
            }
            walk.adopt(object: object)
        } else {
            let result = find(call.path, path, goal(call), thread, tree, new: false)
            guard result == 0 else { return result }
        }
        switch call.operation {
        case .rename, .link:
            return newPathError != 0 ? newPathError : find(call.newPath, newPath, .entry, thread, tree, new: true)
        default: return 0
        }
    }

    private func goal(_ call: PathCall) -> PathWalk.Goal {
        let flags = Int32(bitPattern: call.flags)
        switch call.operation {
        case .open:
            let follow = flags & OpenFlags.noFollow == 0
            if flags & OpenFlags.create == 0 || Self.isTemporary(flags) { return .object(follow: follow) }
            return .creation(follow: follow && flags & OpenFlags.exclusive == 0)
        case .unlink, .rename, .symlink, .makeDirectory, .makeNode: return .entry
        default: return .object(follow: call.follows)
        }
    }

    mutating func find(
        _ where: PathCall.Path, _ text: UnsafeMutableBufferPointer<CChar>, _ goal: PathWalk.Goal, _ thread: Int32,
        _ tree: TreeTable.Tree, new: Bool
    ) -> Int32 {
        guard let base = text.baseAddress else { return -EFAULT }
        let isAbsolute = base[0] == CChar(bitPattern: UInt8(ascii: "/"))
        let directory = isAbsolute ? OpenFlags.currentDirectory : start(`where`.directory, thread)
        guard isAbsolute || directory >= 0 else { return directory }
        defer { RawDescriptor.close(directory) }
        var result = identity.enterRoot(of: thread)
        if result == 0 {
            result = identity.become(caller, honoursCapabilities: tree.honoursCapabilities)
            if result == 0 {
                result =
                    new
                    ? newWalk.find(
                        base, from: directory, goal, as: caller, &identity,
                        honoursCapabilities: tree.honoursCapabilities)
                    : walk.find(
                        base, from: directory, goal, as: caller, &identity,
                        honoursCapabilities: tree.honoursCapabilities)
            } else {
                result = -EACCES
            }
            identity.regain()
        }
        // In a root that is not ours the next call would be decided by names that the caller chose.
        guard identity.leaveRoot() == 0 else { exit(1) }
        return result
    }

    /// O_PATH descriptor of what a path starts from, or of the object behind a descriptor of the thread's; or a negated errno.
    private func start(_ directory: Int32, _ thread: Int32) -> Int32 {
        if directory == OpenFlags.currentDirectory { return ProcFS.pin(of: thread, "cwd") }
        guard directory >= 0 else { return -EBADF }
        let found = ProcFS.pin(of: thread, descriptor: directory)
        return found == -ENOENT ? -EBADF : found
    }

    /// The thread's own descriptor is an O_PATH one, on which only some calls work (open(2)).
    private func isPathOnly(_ descriptor: Int32, _ thread: Int32) -> Bool {
        let flags = ProcFS.descriptorFlags(of: thread, descriptor: descriptor)
        return flags < 0 || flags & Int64(OpenFlags.path) != 0
    }

    /// Does something with the caller's rights: its result, or -EACCES when they cannot be taken on.
    mutating func asCaller(_ tree: TreeTable.Tree, _ body: () -> Int32) -> Int32 {
        guard identity.become(caller, honoursCapabilities: tree.honoursCapabilities) == 0 else { return -EACCES }
        let result = body()
        identity.regain()
        return result
    }

    // MARK: - Opening

    private static func isTemporary(_ flags: Int32) -> Bool { flags & 0o20000000 != 0 }

    private mutating func open(
        _ call: PathCall, _ tree: TreeTable.Tree, _ thread: Int32, _ judge: inout CallJudge,
        _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        let flags = Int32(bitPattern: call.flags)
        if Self.isTemporary(flags) {
            // A file without a name: whoever may not make one with a name here may not make this either.
            guard permitsTemporary(&judge, state) else { return Self.denied }
            let object = walk.object
            return opened(asCaller(tree) { ObjectCalls.open(object: object, flags: flags, mode: call.mode) }, flags)
        }
        if walk.object < 0 { return create(call, flags, tree, thread, &judge, state) }
        if flags & (OpenFlags.create | OpenFlags.exclusive) == OpenFlags.create | OpenFlags.exclusive {
            return .result(-Int(EEXIST))
        }
        guard let status = judge.look(at: walk.object) else { return Self.denied }
        if flags & OpenFlags.create != 0 {
            if status.isDirectory { return .result(-Int(EISDIR)) }
            if sticky.forbids(status, in: walk.directory, caller.user) { return Self.denied }
        }
        if status.isSymbolicLink { return .result(-Int(ELOOP)) }
        let writes = flags & OpenFlags.accessMode != 0 || flags & OpenFlags.truncate != 0
        guard permitsSeen(walk.object, writes ? .write : .openToRead, &judge, state) else { return Self.denied }
        if ObjectCalls.filesystem(of: walk.object)?.type == ObjectCalls.procFilesystem {
            if ProcessMemoryFile.isOne(judge.seen.name) { return Self.denied }
            if writes, !tree.sharesHostName, HostNameSetting.isOne(judge.seen.name) { return Self.denied }
            // Settings there are those of whoever looks.
            if !tree.sharesNamespaces, KernelSettingFile.isOne(judge.seen.name) {
                return openSetting(call, flags, tree, thread)
            }
            if walk.isOwnProcess { return opened(openOwn(flags, tree), flags) }
        }
        if status.isCharacterDevice, status.deviceNumber == ControllingTerminal.device {
            return opened(openTerminal(flags, thread), flags)
        }
        let object = walk.object
        // It is opened through a link of procfs, which is followed; and without O_CREAT, O_EXCL means something else.
        let reopening =
            flags & ~(flags & OpenFlags.create != 0 ? OpenFlags.create | OpenFlags.exclusive : 0) & ~OpenFlags.noFollow
        guard status.isPipe, flags & OpenFlags.accessMode == OpenFlags.writeOnly, flags & OpenFlags.nonblocking == 0
        else {
            return opened(
                asCaller(tree) { ObjectCalls.open(object: object, flags: reopening | O_NOCTTY) }, flags)
        }
        // Nobody may be kept waiting here for a reader that may never come (fifo(7)).
        let pipe = asCaller(tree) { ObjectCalls.open(object: object, flags: reopening | OpenFlags.nonblocking) }
        if pipe == -ENXIO { return .waits }
        if pipe >= 0 { RawDescriptor.setNonblocking(pipe, false) }
        return opened(pipe, flags)
    }

    /// A setting of the caller's own namespaces.
    private mutating func openSetting(
        _ call: PathCall, _ flags: Int32, _ tree: TreeTable.Tree, _ thread: Int32
    ) -> Answer {
        var result = identity.enterNamespaces(of: thread)
        if result == 0 { result = find(call.path, path, goal(call), thread, tree, new: false) }
        var descriptor: Int32 = -EACCES
        if result == 0 {
            let object = walk.object
            descriptor = asCaller(tree) { ObjectCalls.open(object: object, flags: flags & ~OpenFlags.create) }
        }
        // In namespaces that are not ours the next call would be decided by what others set.
        guard identity.leaveNamespaces() == 0 else { exit(1) }
        return opened(result == 0 ? descriptor : -EACCES, flags)
    }

    /// A file about the caller itself, which the kernel takes us for somebody else for: maps, environ and the like.
    private mutating func openOwn(_ flags: Int32, _ tree: TreeTable.Tree) -> Int32 {
        let object = walk.object
        let reopening = flags & ~(OpenFlags.create | OpenFlags.noFollow) | O_NOCTTY
        let descriptor = asCaller(tree) { ObjectCalls.open(object: object, flags: reopening) }
        guard descriptor == -EACCES || descriptor == -EPERM,
            identity.become(caller, honoursCapabilities: tree.honoursCapabilities, adding: [.sysPtrace]) == 0
        else { return descriptor }
        let again = ObjectCalls.open(object: object, flags: reopening)
        identity.regain()
        return again
    }

    private func opened(_ descriptor: Int32, _ flags: Int32) -> Answer {
        descriptor < 0
            ? .result(Int(descriptor))
            : .descriptor(descriptor, closeOnExec: flags & OpenFlags.closeOnExec != 0)
    }

    private mutating func create(
        _ call: PathCall, _ flags: Int32, _ tree: TreeTable.Tree, _ thread: Int32, _ judge: inout CallJudge,
        _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        guard judge.permits(name: walk.nameBytes, in: walk.directory, state) else { return Self.denied }
        let (directory, name) = (walk.directory, walk.name)
        // Exclusively: what somebody else puts there meanwhile was not asked about.
        let made = asCaller(tree) {
            ObjectCalls.open(
                directory, name, flags: flags | OpenFlags.exclusive | OpenFlags.noFollow | O_NOCTTY, mode: call.mode)
        }
        if made == -EEXIST, flags & OpenFlags.exclusive == 0 { return .waits }
        return opened(made, flags)
    }

    private mutating func permitsTemporary(
        _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        let name: StaticString = "#tmpfile"
        return judge.permits(
            name: UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount), in: walk.object, state)
    }

    /// `/dev/tty` is the terminal of whoever opens it.
    private mutating func openTerminal(_ flags: Int32, _ thread: Int32) -> Int32 {
        guard identity.enterRoot(of: thread) == 0 else {
            guard identity.leaveRoot() == 0 else { exit(1) }
            return -EACCES
        }
        let terminal = ControllingTerminal.pin(of: thread)
        guard identity.leaveRoot() == 0 else { exit(1) }
        guard terminal >= 0 else { return terminal }
        defer { RawDescriptor.close(terminal) }
        // Everybody may open their own.
        return ObjectCalls.open(object: terminal, flags: flags & ~OpenFlags.create | O_NOCTTY)
    }

    /// Asks about an object that was looked at and has a place in a filesystem; pipes, sockets and memory files have none, and no
    /// rule can name them.
    private func permitsSeen(
        _ object: Int32, _ access: PermissionFacts.Access, _ judge: inout CallJudge,
        _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        let seen = judge.seen
        return NamelessObject.isOne(seen.name, seen.status) || judge.permitsSeen(object, access, state)
    }

    // MARK: - Executing

    private mutating func execute(
        _ call: PathCall, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        guard let status = judge.look(at: walk.object) else { return Self.denied }
        if status.isSymbolicLink { return .result(-Int(ELOOP)) }
        // What nobody may execute is nothing to ask about.
        if !status.isRegularFile || status.mode & 0o111 == 0 { return Self.denied }
        guard judge.permitsExecution(of: walk.object, state) else { return Self.denied }
        return .execution(Program(device: status.device, inode: status.inode, directory: call.path.directory))
    }

    /// Whether a process, which has just executed a program and stands before its first instruction, runs what was decided on last: that
    /// object itself, or its interpreter, which is decided on here.
    mutating func verifies(
        _ process: Int32, _ program: Program, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        let object = ProcFS.pin(of: process, "exe")
        guard object >= 0 else { return judge.fail(.executionUnverified, .process, state) }
        defer { RawDescriptor.close(object) }
        if let status = judge.look(at: object), status.device == program.device, status.inode == program.inode {
            return true
        }
        guard judge.permitsExecution(of: object, state) else { return false }
        // Whoever reads a script gets it by an open of its own; here it has to be the script that was decided on.
        return isExecutedName(of: process, from: program.directory)
            || judge.fail(.executionUnverified, .process, state)
    }

    /// Whether the kernel executed by the name in `path`; it puts the descriptor before one that is relative to one (execveat(2)).
    private func isExecutedName(of process: Int32, from directory: Int32) -> Bool {
        guard let expected = path.baseAddress, ExecutedName.read(of: process, into: newPath) >= 0,
            var executed = UnsafePointer(newPath.baseAddress)
        else { return false }
        let isAbsolute = expected[0] == CChar(bitPattern: UInt8(ascii: "/"))
        if directory != OpenFlags.currentDirectory, !isAbsolute {
            for byte in "/dev/fd/".utf8 {
                guard executed.pointee == CChar(bitPattern: byte) else { return false }
                executed += 1
            }
            var number: Int32 = 0
            while executed.pointee >= 0x30, executed.pointee <= 0x39 {
                number = number &* 10 &+ Int32(executed.pointee - 0x30)
                executed += 1
            }
            guard number == directory else { return false }
            if expected[0] == 0 { return executed.pointee == 0 }
            guard executed.pointee == CChar(bitPattern: UInt8(ascii: "/")) else { return false }
            executed += 1
        }
        return strcmp(executed, expected) == 0
    }

    // MARK: - Names that come and go

    private mutating func unlink(
        _ call: PathCall, _ tree: TreeTable.Tree, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        let removesDirectory = call.flags & 0x200 != 0
        if let error = specialName(removesDirectory ? (EINVAL, ENOTEMPTY, EBUSY) : (EISDIR, EISDIR, EISDIR), walk) {
            return .result(-Int(error))
        }
        if walk.lookupError != 0 { return .result(Int(walk.lookupError)) }
        guard walk.object >= 0 else { return .result(-Int(ENOENT)) }
        guard judge.permits(object: walk.object, .write, state) else { return Self.denied }
        let (directory, name) = (walk.directory, walk.name)
        let result = asCaller(tree) { ObjectCalls.unlink(directory, name, flags: Int32(bitPattern: call.flags)) }
        // A process may write its own directories in procfs, where we are somebody else; nothing can be removed there anyway.
        if result == -EACCES, ObjectCalls.filesystem(of: directory)?.type == ObjectCalls.procFilesystem {
            var status = ObjectStatus()
            let isLeaf = ObjectStatus.read(descriptor: walk.object, into: &status) == 0 && !status.isDirectory
            return .result(-Int(removesDirectory && isLeaf ? ENOTDIR : EPERM))
        }
        return .result(Int(result))
    }

    private mutating func rename(
        _ call: PathCall, _ tree: TreeTable.Tree, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        // linux/fs.h: RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT, which go only one way together.
        let (keeps, exchanges) = (call.flags & 1 != 0, call.flags & 2 != 0)
        if call.flags & ~7 != 0 || exchanges && call.flags & 5 != 0 { return .result(-Int(EINVAL)) }
        if isElsewhere(walk.directory, newWalk.directory) { return .result(-Int(EXDEV)) }
        if specialName((EBUSY, EBUSY, EBUSY), walk) != nil { return .result(-Int(EBUSY)) }
        if specialName((EBUSY, EBUSY, EBUSY), newWalk) != nil { return .result(-Int(keeps ? EEXIST : EBUSY)) }
        if walk.lookupError != 0 { return .result(Int(walk.lookupError)) }
        guard walk.object >= 0 else { return .result(-Int(ENOENT)) }
        if newWalk.lookupError != 0 { return .result(Int(newWalk.lookupError)) }
        if newWalk.object >= 0, keeps { return .result(-Int(EEXIST)) }
        if newWalk.object < 0, exchanges { return .result(-Int(ENOENT)) }
        guard permitsMove(walk.object, &judge, state),
            judge.permits(name: newWalk.nameBytes, in: newWalk.directory, state)
        else { return Self.denied }
        if newWalk.object >= 0 {
            guard
                exchanges
                    ? permitsMove(newWalk.object, &judge, state) : judge.permits(object: newWalk.object, .write, state)
            else { return Self.denied }
        }
        if exchanges {
            guard judge.permits(name: walk.nameBytes, in: walk.directory, state) else { return Self.denied }
        }
        let (directory, name) = (walk.directory, walk.name)
        let (newDirectory, newName) = (newWalk.directory, newWalk.name)
        // What was not there must not be replaced.
        let flags = call.flags | (newWalk.object < 0 ? 1 : 0)
        let result = asCaller(tree) {
            ObjectCalls.rename(directory, name, to: newDirectory, newName, flags: flags)
        }
        if result == -EEXIST, !keeps, newWalk.object < 0 { return .waits }
        // Nothing happens between two names of one object (rename(2)), not even where we may not look.
        if result == -EACCES, isSame(walk.object, newWalk.object) { return .result(0) }
        // A filesystem without RENAME_NOREPLACE (renameat2(2)).
        if result == -EINVAL, flags != call.flags {
            return .result(
                Int(
                    asCaller(tree) {
                        ObjectCalls.rename(directory, name, to: newDirectory, newName, flags: call.flags)
                    }))
        }
        return .result(Int(result))
    }

    private func permitsMove(
        _ object: Int32, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        guard let status = judge.look(at: object), judge.permitsSeen(object, .write, state) else { return false }
        return !status.isDirectory || judge.permitsMove(state)
    }

    private mutating func link(
        _ call: PathCall, _ tree: TreeTable.Tree, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        // linkat(2): another process's descriptor is not one's own to give a name.
        if call.mayBeEmpty, path[0] == 0, !caller.effective.contains(.dacReadSearch) { return .result(-Int(ENOENT)) }
        guard newWalk.object < 0, newWalk.directory >= 0 else { return .result(-Int(EEXIST)) }
        if newWalk.lookupError != 0 { return .result(Int(newWalk.lookupError)) }
        // A slash asks for a directory, which no link makes.
        if newWalk.name[newWalk.nameBytes.count] != 0 { return .result(-Int(ENOENT)) }
        if isElsewhere(walk.object, newWalk.directory) { return .result(-Int(EXDEV)) }
        guard judge.permits(object: walk.object, .write, state),
            judge.permits(name: newWalk.nameBytes, in: newWalk.directory, state)
        else { return Self.denied }
        let (object, directory, name) = (walk.object, newWalk.directory, newWalk.name)
        return .result(Int(asCaller(tree) { ObjectCalls.link(object: object, to: directory, name) }))
    }

    private mutating func make(
        _ call: PathCall, _ tree: TreeTable.Tree, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        guard walk.object < 0, walk.directory >= 0 else { return .result(-Int(EEXIST)) }
        if walk.lookupError != 0 { return .result(Int(walk.lookupError)) }
        guard judge.permits(name: walk.nameBytes, in: walk.directory, state) else { return Self.denied }
        let (directory, name) = (walk.directory, walk.name)
        guard let target = newPath.baseAddress else { return Self.denied }
        return .result(
            Int(
                asCaller(tree) {
                    switch call.operation {
                    case .symlink: ObjectCalls.symlink(target, directory, name)
                    case .makeDirectory: ObjectCalls.makeDirectory(directory, name, mode: call.mode)
                    default: ObjectCalls.makeNode(directory, name, mode: call.mode, device: call.number)
                    }
                }))
    }

    private func isSame(_ one: Int32, _ other: Int32) -> Bool {
        var (first, second) = (ObjectStatus(), ObjectStatus())
        return other >= 0 && ObjectStatus.read(descriptor: one, into: &first) == 0
            && ObjectStatus.read(descriptor: other, into: &second) == 0 && first.isSameObject(as: second)
    }

    /// Whether two objects lie on different mounts, between which nothing is renamed or linked.
    private func isElsewhere(_ one: Int32, _ other: Int32) -> Bool {
        var (first, second) = (ObjectStatus(), ObjectStatus())
        return one >= 0 && other >= 0 && ObjectStatus.read(descriptor: one, into: &first) == 0
            && ObjectStatus.read(descriptor: other, into: &second) == 0 && first.mountID != second.mountID
    }

    /// The errno for a path whose last name is `.`, `..` or the root's.
    private func specialName(_ errors: (dot: Int32, dots: Int32, root: Int32), _ walk: PathWalk) -> Int32? {
        // `/` alone, or what a link of procfs led to.
        guard walk.directory >= 0 else { return errors.root }
        let name = walk.nameBytes
        guard name.count <= 2, name.allSatisfy({ $0 == UInt8(ascii: ".") }) else { return nil }
        return name.count == 1 ? errors.dot : errors.dots
    }

    // MARK: - Metadata

    private mutating func change(
        _ call: PathCall, _ tree: TreeTable.Tree, _ thread: Int32, _ judge: inout CallJudge,
        _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        var moments = CallTimes()
        if call.operation == .setTimes {
            let error = moments.read(call, thread)
            if error != 0 { return .result(Int(error)) }
        }
        if call.operation == .truncate {
            let error = truncationError(Int64(bitPattern: call.number), thread)
            if error != 0 { return .result(-Int(error)) }
        }
        let object = walk.object
        guard judge.look(at: object) != nil, permitsSeen(object, .write, &judge, state) else { return Self.denied }
        guard let name = attributeName.baseAddress else { return Self.denied }
        let contents = UnsafeRawBufferPointer(rebasing: value[..<Int(min(call.valueLength, UInt64(value.count)))])
        return .result(
            Int(
                asCaller(tree) {
                    switch call.operation {
                    case .truncate: ObjectCalls.truncate(object: object, length: Int64(bitPattern: call.number))
                    case .setMode: ObjectCalls.setMode(object, mode: call.mode)
                    case .setOwner: ObjectCalls.setOwner(object, user: call.user, group: call.group)
                    case .setAttribute:
                        ObjectCalls.setAttribute(
                            object, name: name, value: contents, flags: Int32(bitPattern: call.flags))
                    case .removeAttribute: ObjectCalls.removeAttribute(object, name: name)
                    default: moments.apply(to: object)
                    }
                }))
    }

    /// What truncate(2) says of the object and of the caller's own limit; a positive errno or 0.
    private func truncationError(_ length: Int64, _ thread: Int32) -> Int32 {
        var status = ObjectStatus()
        guard ObjectStatus.read(descriptor: walk.object, into: &status) == 0 else { return EACCES }
        if status.isDirectory { return EISDIR }
        if !status.isRegularFile { return EINVAL }
        return UInt64(length) > ProcFS.fileSizeLimit(of: thread) ? EFBIG : 0
    }
}
