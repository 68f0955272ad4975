import Glibc
import LinuxKernel
import PolicyEngine

/// What is known of one event, found out only as far as the rules ask for it. One value, reused for every event; its
/// buffers are allocated once.
package struct PermissionFacts {
    /// The thread that waits for the verdict.
    package private(set) var thread: Int32 = 0
    /// The event is an exec, so the arguments are those of the program to come.
    private(set) var isExec = false
    private var access = Access.open

    /// What the caller wants of the object.
    package enum Access: Sendable {
        /// It opens it; what for, its system call tells.
        case open
        /// It opens it to read it, as is known already.
        case openToRead
        /// It reads through an open descriptor.
        case read
        /// It writes it, or changes its name or metadata.
        case write
    }
    package private(set) var object = ObjectStatus()

    /// The thread came into its container from outside, and is about to execute its first program there.
    package var entersWorkload = false
    /// The workload that the thread belongs to, where the caller knows it.
    package var knownWorkload: UInt64?
    private var foundWorkload: UInt64?

    package private(set) var status = ProcessStatus()
    private var hasStatus = false
    package private(set) var stat = ProcessStat()
    private var hasStat = false
    private(set) var systemCall = SystemCallState.unavailable(errno: 0)
    private var hasSystemCall = false
    /// The waiting thread's call, where somebody has found it out already.
    var presetCall: SystemCallState?
    private(set) var openFlags: UInt64 = 0

    private let executableBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 8192, alignment: 8)
    private var executableLength = -1
    private let parentBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 8192, alignment: 8)
    private var parentLength = -1
    private let translation = UnsafeMutableRawBufferPointer.allocate(byteCount: 16384, alignment: 8)
    private let argumentBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 16384, alignment: 8)
    private var argumentLength = -1

    package init() {}

    func deallocate() {
        executableBuffer.deallocate()
        parentBuffer.deallocate()
        translation.deallocate()
        argumentBuffer.deallocate()
    }

    /// Forgets the last event.
    @inline(__always)
    package mutating func begin(thread: Int32, isExec: Bool, access: Access = .open) {
        self.access = access
        self.thread = thread
        self.isExec = isExec
        foundWorkload = nil
        hasStatus = false
        hasStat = false
        hasSystemCall = presetCall != nil
        if let presetCall { systemCall = presetCall }
        openFlags = 0
        executableLength = -1
        parentLength = -1
        argumentLength = -1
    }

    /// Says what is wanted of the object.
    @inline(__always)
    package mutating func set(access: Access) { self.access = access }

    /// Reads the object's identity from the event's descriptor; 0 or a negative errno.
    @inline(__always)
    mutating func identify(_ descriptor: Int32) -> Int32 { ObjectStatus.read(descriptor: descriptor, into: &object) }

    /// Fills in what the engine asked for.
    ///
    /// - Returns: false when a fact could not be read; the failure table decides then.
    mutating func supply(_ missing: FactSet, to operation: inout ObjectOperation, state: EnforcementState) -> Bool {
        if missing.contains(.source) {
            let isProcess = operation.category == .process
            guard let source = isProcess ? parentExecutable(state) : executable(state) else { return false }
            operation.source = source
            operation.known.insert(.source)
        }
        if missing.contains(.write) {
            operation.isWrite = hasWriteIntent()
            operation.known.insert(.write)
        }
        if missing.contains(.ownership) {
            guard readStatus() else { return false }
            operation.isOwner = status.uid.fileSystem == object.uid
            operation.known.insert(.ownership)
        }
        if missing.contains(.terminal) {
            guard readStat() else { return false }
            operation.hasTerminal = stat.ttyNumber != 0
            operation.known.insert(.terminal)
        }
        if missing.contains(.arguments) {
            guard let arguments = isExec ? executedArguments() : callerArguments() else { return false }
            operation.arguments = arguments
            operation.known.insert(.arguments)
        }
        if missing.contains(.process) {
            guard readStatus() else { return false }
            // Names in its /proc have the numbers of its own namespace.
            operation.pid = status.namespaceDepth > 1 ? status.namespaceTGID : status.tgid
            operation.enteredWorkload = entersWorkload
            operation.known.insert(.process)
        }
        return true
    }

    /// The workload that the thread belongs to; 0 = the host.
    @inline(__always)
    package mutating func workload(_ state: UnsafePointer<EnforcementState>) -> UInt64 {
        if state.pointee.workloads.isEmpty { return SnapshotBundle.host }
        if let known = knownWorkload ?? foundWorkload { return known }
        // A thread without a namespace that we may see is in none that was bound.
        let found = state.pointee.bindings.workload(of: thread) ?? SnapshotBundle.host
        foundWorkload = found
        return found
    }

    /// The container whose event this is: of the object, or of the thread where the object does not tell; `nil` for none.
    @inline(__always)
    mutating func container(_ state: UnsafePointer<EnforcementState>) -> ContainerSlot? {
        let mounts = state.pointee.mounts
        let slot = state.pointee.containers.container(of: object, thread: thread) { mounts.isHost($0) }
        if let slot { foundWorkload = slot.workload }
        return slot
    }

    /// Whether it is the runtime, still setting a container up, that opens something: not yet the container.
    mutating func isOfStarter(_ slot: ContainerSlot) -> Bool {
        guard !isExec, slot.isStarted(by: processID()) else { return false }
        // What it executes it opens as well. Its registers can be read once it has gone to sleep.
        for _ in 0..<256 {
            hasSystemCall = false
            readSystemCall()
            if case .blocked = systemCall { return !OpenIntent.of(systemCall, tid: thread).isExecution }
            guard case .running = systemCall else { return false }
            sched_yield()
        }
        return false
    }

    /// The container's number in records; 0 for none.
    var containerNumber: UInt32 {
        guard let workload = knownWorkload ?? foundWorkload, SnapshotBundle.isContainer(workload) else { return 0 }
        return UInt32(truncatingIfNeeded: workload)
    }

    /// Whether the thread runs under a seccomp filter.
    mutating func hasFilter() -> Bool { readStatus() && status.seccompMode == 2 }

    /// The caller's thread group id, or 0 when it has gone.
    package mutating func processID() -> Int32 { readStatus() ? status.tgid : 0 }

    /// Path of the caller's executable, in the host's view; empty for a kernel thread, `nil` if it cannot be read.
    package mutating func executable(_ state: EnforcementState) -> UnsafeRawBufferPointer? {
        if executableLength < 0 {
            executableLength = Self.resolve(thread, into: executableBuffer, scratch: translation, state: state)
        }
        return executableLength >= 0 ? UnsafeRawBufferPointer(rebasing: executableBuffer[0..<executableLength]) : nil
    }

    /// Path of the executable of the caller's parent, in the host's view; empty if the parent has none.
    package mutating func parentExecutable(_ state: EnforcementState) -> UnsafeRawBufferPointer? {
        if parentLength < 0 {
            guard readStatus() else { return nil }
            var parent = status.ppid
            repeat {
                // Without a parent that this pid namespace knows there is no executable to name.
                parentLength =
                    parent > 0 ? Self.resolve(parent, into: parentBuffer, scratch: translation, state: state) : 0
                // A parent that ended meanwhile has a successor.
                guard parentLength < 0, ProcFS.status(of: thread, into: &status) == 0, status.ppid != parent else {
                    break
                }
                parent = status.ppid
            } while true
        }
        return parentLength >= 0 ? UnsafeRawBufferPointer(rebasing: parentBuffer[0..<parentLength]) : nil
    }

    /// Whether the open asks for more than reading. The waiting thread's registers tell; what they do not tell (openat2,
    /// io_uring, an unreadable or unknown call) counts as writing.
    mutating func hasWriteIntent() -> Bool {
        if access != .open { return access == .write }
        readSystemCall()
        let intent = OpenIntent.of(systemCall, tid: thread)
        openFlags = intent.flags
        return intent.access != .read
    }

    /// The waiting thread's system call, read at most once an event.
    mutating func readSystemCall() {
        guard !hasSystemCall else { return }
        systemCall = SystemCallState.ofWaiting(tid: thread)
        hasSystemCall = true
    }

    /// argv of the program being executed, NUL-terminated strings one after the other.
    ///
    /// It is read from the caller's memory before the kernel copies it, so another thread of the caller may still change it:
    /// argument rules are advisory here, and `status` says so.
    mutating func executedArguments() -> UnsafeRawBufferPointer? {
        if argumentLength < 0 {
            readSystemCall()
            argumentLength = ExecArguments.read(systemCall, tid: thread, into: argumentBuffer)
        }
        return argumentLength >= 0 ? UnsafeRawBufferPointer(rebasing: argumentBuffer[0..<argumentLength]) : nil
    }

    /// argv of the calling process as it was started.
    mutating func callerArguments() -> UnsafeRawBufferPointer? {
        if argumentLength < 0 { argumentLength = ProcFS.commandLine(of: thread, into: argumentBuffer) }
        return argumentLength >= 0 ? UnsafeRawBufferPointer(rebasing: argumentBuffer[0..<argumentLength]) : nil
    }

    /// Terminal, session and start time of the waiting thread, read at most once an event.
    package mutating func readStat() -> Bool {
        if !hasStat { hasStat = ProcFS.stat(of: thread, into: &stat) == 0 }
        return hasStat
    }

    /// Identity, credentials and parent of the waiting thread, read at most once an event.
    package mutating func readStatus() -> Bool {
        if !hasStatus { hasStatus = ProcFS.status(of: thread, into: &status) == 0 }
        return hasStatus
    }

    /// Whether a process has no executable, rather than one that could not be read: a kernel thread, or one that is ending.
    /// A process whose first thread has ended has none to show either, but runs on: its executable is unknown.
    private static func hasNoExecutable(_ pid: Int32) -> Bool {
        var stat = ProcessStat()
        guard ProcFS.stat(of: pid, into: &stat) == 0 else { return false }
        return stat.isKernelThread || stat.threadCount <= 1
    }

    /// Reads `/proc/<pid>/exe`, takes the kernel's ` (deleted)` mark off, and gives the host's name for the object when the
    /// process saw it through another mount.
    ///
    /// - Returns: the length, 0 if there is no executable, -1 if it cannot be read.
    private static func resolve(
        _ pid: Int32, into buffer: UnsafeMutableRawBufferPointer, scratch: UnsafeMutableRawBufferPointer,
        state: EnforcementState
    ) -> Int {
        let length = ProcFS.executable(of: pid, into: buffer)
        guard length > 0 else { return hasNoExecutable(pid) ? 0 : -1 }
        var object = ObjectStatus()
        guard ProcFS.executableObject(of: pid, into: &object) == 0 else { return length }
        var end = length
        if object.nlink == 0 {
            end = DeletedSuffix.strippedLength(UnsafeRawBufferPointer(rebasing: buffer[0..<length]))
        }
        let path = UnsafeRawBufferPointer(rebasing: buffer[0..<end])
        switch state.mounts.name(of: path, mountID: object.mountID, into: scratch) {
        case .canonical?: return end
        case .translated(let translated)?:
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: scratch[0..<translated]))
            return translated
        case .unknown?: return end
        case nil:
            let program = ProcFS.pin(of: pid, "exe")
            defer { RawDescriptor.close(program) }
            if program >= 0, let named = state.mounts.name(ofObject: program, device: object.device, into: scratch),
                named <= buffer.count
            {
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: scratch[0..<named]))
                return object.nlink == 0
                    ? DeletedSuffix.strippedLength(UnsafeRawBufferPointer(rebasing: buffer[0..<named])) : named
            }
            guard let entry = ForeignMount.find(object.mountID, of: pid) else { return end }
            if case .translated(let translated) = state.mounts.name(of: path, foreign: entry, into: scratch) {
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: scratch[0..<translated]))
                return translated
            }
            return end
        }
    }
}

/// The mark that the kernel puts behind the path of an unlinked object.
enum DeletedSuffix {
    /// Length of the path without ` (deleted)`. Only to be asked for an object without links: a live file may have such a
    /// name.
    static func strippedLength(_ path: UnsafeRawBufferPointer) -> Int {
        let suffix: StaticString = " (deleted)"
        guard path.count > suffix.utf8CodeUnitCount else { return path.count }
        let start = path.count - suffix.utf8CodeUnitCount
        for i in 0..<suffix.utf8CodeUnitCount where path[start + i] != suffix.utf8Start[i] { return path.count }
        return start
    }
}

/// A mount of another namespace, described by the mountinfo of a process in it.
enum ForeignMount {
    /// The mountinfo line of `mountID` as the process sees it. Slow: reads and parses a file; only for the rare event whose
    /// mount is not one of the host's.
    static func find(_ mountID: UInt64, of pid: Int32) -> MountEntry? {
        guard let entries = try? MountTable.read(of: pid) else { return nil }
        return entries.first { $0.id == mountID }
    }
}
