import FileEnforcement
import Glibc
import LinuxKernel

/// Performs calls that open for writing, or change a name or metadata, in the name of the thread that waits: the arguments are copied
/// once, the paths resolved once to descriptors, the rules asked about those, and the call made on those, with the thread's own
/// rights. What another thread does to the memory or the names meanwhile changes nothing (docs/adr/0009).
///
/// Belongs to one thread. Holds buffers only; allocated once.
struct CallBroker {
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
        /// The same, and this tells when.
        case waitsFor(SocketWait)
        /// The kernel performs the call.
        case proceed(RegisterProof)
        /// EPIPE, with the signal that goes with it.
        case brokenPipe
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
    var newWalk = PathWalk()
    let path = UnsafeMutableBufferPointer<CChar>.allocate(capacity: Int(PATH_MAX))
    private var newPathError: Int32 = 0
    let newPath = UnsafeMutableBufferPointer<CChar>.allocate(capacity: Int(PATH_MAX))
    /// XATTR_NAME_MAX and XATTR_SIZE_MAX, xattr(7).
    let attributeName = UnsafeMutableBufferPointer<CChar>.allocate(capacity: 256)
    let value = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 8)
    var messages = MessageBuffers()
    let resolvers: ResolverSockets
    let waitLimit: WaitLimit
    let sticky = StickyRules()

    /// For the calling thread.
    ///
    /// - Throws: when it cannot have a root and a directory of its own, or a timer.
    init(resolvers: ResolverSockets) throws(KernelError) {
        self.resolvers = resolvers
        identity = try AssumedIdentity()
        waitLimit = try WaitLimit()
    }

    /// Performs a call, or refuses it.
    ///
    /// - Parameters:
    ///   - unanswered: where the call is looked for and begun, if it can come twice.
    ///   - wait: what the call waited for, when it comes again.
    mutating func run(
        _ call: PathCall, _ notification: SystemCallNotification, in tree: TreeTable.Tree, _ judge: inout CallJudge,
        _ state: UnsafePointer<EnforcementState>, unanswered: UnansweredCalls?, wait: SocketWait?
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
        if let wait { return read(wait, call, &judge, state) }
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

    func goal(_ call: PathCall) -> PathWalk.Goal {
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
}
