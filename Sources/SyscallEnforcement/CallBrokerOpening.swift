import FileEnforcement
import Glibc
import LinuxKernel

/// Opening and making files.
extension CallBroker {
    static func isTemporary(_ flags: Int32) -> Bool { flags & 0o20000000 != 0 }

    mutating func open(
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
        let filesystem = walk.filesystem ?? ObjectCalls.filesystem(of: walk.object)?.type
        if filesystem == ObjectCalls.procFilesystem {
            if ProcessMemoryFile.isOne(judge.seen.name) { return Self.denied }
            if writes, !tree.sharesHostName, HostNameSetting.isOne(judge.seen.name) { return Self.denied }
            // Settings there are those of whoever looks.
            if !tree.sharesNamespaces, KernelSettingFile.isOne(judge.seen.name) {
                return openSetting(call, flags, tree, thread, &judge, state)
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
        guard !tree.sharesNamespaces, OpenersObject.isOne(judge.seen.name, status, filesystem: filesystem) else {
            return reopen(object, status, reopening, tree)
        }
        let entered = identity.enterNamespaces(of: thread)
        let answer = entered == 0 ? reopen(object, status, reopening, tree) : Self.denied
        // In namespaces that are not ours the next call would be decided by what others set.
        guard identity.leaveNamespaces() == 0 else { exit(1) }
        return answer
    }

    /// Opens an object that is there, without being kept waiting for anybody else.
    private mutating func reopen(
        _ object: Int32, _ status: ObjectStatus, _ flags: Int32, _ tree: TreeTable.Tree
    ) -> Answer {
        let mode = flags & OpenFlags.accessMode
        let isHalfOfPipe = status.isPipe && mode != OpenFlags.readWrite
        guard flags & OpenFlags.nonblocking == 0, status.isRegularFile || isHalfOfPipe else {
            let limit = waitLimit
            // A terminal waits for its line, and nothing tells when that is there.
            let descriptor =
                status.isDirectory
                ? asCaller(tree) { ObjectCalls.open(object: object, flags: flags) }
                : asCaller(tree) { limit.run { ObjectCalls.open(object: object, flags: flags | O_NOCTTY) } }
            return descriptor == -EINTR ? .waits : opened(descriptor, flags)
        }
        // What would wait says so then: a file for a lease (fcntl(2)), a pipe for its other end, which may never come (fifo(7)).
        let descriptor = asCaller(tree) { ObjectCalls.open(object: object, flags: flags | OpenFlags.nonblocking) }
        if descriptor == (isHalfOfPipe ? -ENXIO : -EAGAIN) { return .waits }
        guard descriptor >= 0 else { return opened(descriptor, flags) }
        if isHalfOfPipe, mode == OpenFlags.readOnly, !Pipe.isWritten(descriptor) {
            // Kept open, so that whoever wants to write finds a reader.
            return .waitsFor(SocketWait(socket: descriptor, forRoom: false, isSilent: true))
        }
        // It was open with the same flags but that one.
        RawDescriptor.setStatusFlags(descriptor, flags)
        return opened(descriptor, flags)
    }

    /// Goes on with a pipe that was opened to be read, once somebody has come to write into it.
    func read(
        _ wait: SocketWait, _ call: PathCall, _ judge: inout CallJudge, _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        guard judge.look(at: wait.socket) != nil, permitsSeen(wait.socket, .openToRead, &judge, state) else {
            return Self.denied
        }
        guard Pipe.isWritten(wait.socket) else { return .waitsFor(wait) }
        let pipe = RawDescriptor.duplicate(wait.socket)
        if pipe >= 0 { RawDescriptor.setNonblocking(pipe, false) }
        return opened(pipe, Int32(bitPattern: call.flags))
    }

    /// A setting of the caller's own namespaces. Its name is looked up once more there, and can lead elsewhere by then: the rules are asked
    /// about what it leads to now.
    private mutating func openSetting(
        _ call: PathCall, _ flags: Int32, _ tree: TreeTable.Tree, _ thread: Int32, _ judge: inout CallJudge,
        _ state: UnsafePointer<EnforcementState>
    ) -> Answer {
        let writes = flags & OpenFlags.accessMode != 0 || flags & OpenFlags.truncate != 0
        var result = identity.enterNamespaces(of: thread)
        if result == 0 { result = find(call.path, path, goal(call), thread, tree, new: false) }
        var descriptor: Int32 = -EACCES
        if result == 0, OwnProcess.isOnProcfs(walk.object), judge.look(at: walk.object) != nil,
            KernelSettingFile.isOne(judge.seen.name), !ProcessMemoryFile.isOne(judge.seen.name),
            permitsSeen(walk.object, writes ? .write : .openToRead, &judge, state)
        {
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
    func permitsSeen(
        _ object: Int32, _ access: PermissionFacts.Access, _ judge: inout CallJudge,
        _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        let seen = judge.seen
        return NamelessObject.isOne(seen.name, seen.status) || judge.permitsSeen(object, access, state)
    }
}
