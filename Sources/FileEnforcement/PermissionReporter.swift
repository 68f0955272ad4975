import EventRing
import LinuxKernel
import PolicyEngine

/// Builds the record of a reported event while its caller still waits, and publishes it after the answer. Block alerts have a
/// ring of their own, so that a flood of audits cannot hide them.
///
/// Each thread has one of its own.
public final class PermissionReporter: @unchecked Sendable {
    // Unchecked: buffers and lanes belong to the one thread that uses the instance; see above.
    private var blockRing: RingProducer
    private var eventRing: RingProducer
    private let wake: Int32
    private var writer: EventWriter
    private var record = UnsafeRawBufferPointer(start: nil, count: 0)
    private var isBlock = false
    private let ownProcesses: OwnProcesses
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 8192, alignment: 8)

    /// - Parameters:
    ///   - owner: this thread's number in the rings; never used again by another thread or process.
    ///   - wake: eventfd of the consumer.
    public init(
        blockRing: SharedRing, eventRing: SharedRing, owner: UInt64, wake: Int32, ownProcesses: OwnProcesses
    ) throws(RingError) {
        self.blockRing = try RingProducer(ring: blockRing, owner: owner)
        self.eventRing = try RingProducer(ring: eventRing, owner: owner)
        // Lives as long as the thread, which is as long as the process.
        writer = try EventWriter(buffer: .allocate(byteCount: EventWriter.maximumRecord, alignment: 8))
        self.wake = wake
        self.ownProcesses = ownProcesses
    }

    /// Whether a process is one of the agent's own.
    package func isOwn(_ pid: Int32) -> Bool { pid != 0 && ownProcesses.contains(pid) }

    /// Puts everything that the alert says into the record.
    func capture(
        _ decision: PermissionDecision, decider: inout PermissionDecider, thread: Int32,
        state: UnsafePointer<EnforcementState>
    ) {
        decider.facts.readSystemCall()
        var call: ReportedCall?
        if case .blocked(let number, _) = decider.facts.systemCall {
            let flags = OpenIntent.of(decider.facts.systemCall, tid: thread).flags
            call = ReportedCall(
                number: Int32(truncatingIfNeeded: number), openFlags: UInt32(truncatingIfNeeded: flags))
        }
        capture(
            decision, facts: &decider.facts, mechanism: .fanotify, call: call, resource: decider.path,
            alias: decider.alias, state: state)
    }

    /// The system call that an alert is about.
    package struct ReportedCall {
        /// Its number on this machine's own architecture.
        var number: Int32
        /// `O_*` flags, if it opens something and they are known.
        var openFlags: UInt32?

        /// Names a call.
        package init(number: Int32, openFlags: UInt32? = nil) {
            self.number = number
            self.openFlags = openFlags
        }
    }

    /// Puts everything that the alert says into the record.
    ///
    /// - Parameters:
    ///   - resource: the object's path, or what `EventField.resource` says for the category.
    ///   - detail: what the alert says of the call, for one that a rule names.
    ///   - mayReadMemory: the caller's arguments are shown. Not of a call that is let go on by a notification: of such a one nobody
    ///     looks at the memory.
    package func capture(
        _ decision: PermissionDecision, facts: inout PermissionFacts, mechanism: EventHeader.Mechanism,
        call: ReportedCall?, resource: UnsafeRawBufferPointer, alias: UnsafeRawBufferPointer,
        detail: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0), mayReadMemory: Bool = true,
        state: UnsafePointer<EnforcementState>
    ) {
        isBlock = !decision.allow
        _ = facts.readStatus()
        _ = facts.readStat()
        let thread = facts.thread
        var header = EventHeader(
            kind: .verdict, category: decision.category.reported,
            effect: !decision.allow ? .block : decision.effect == .allow ? .allow : .audit, mechanism: mechanism)
        header.ruleID = decision.rule.rawValue
        header.generation = state.pointee.snapshot.generation
        header.wallClock = KernelClock.wall
        header.hostPID = facts.status.tgid
        header.hostPPID = facts.status.ppid
        header.tid = thread
        header.uid = facts.status.uid.real
        header.oid = facts.object.uid
        header.container = facts.containerNumber
        header.flags.insert(.openFlagsUnknown)
        if let call {
            header.syscall = call.number
            if let flags = call.openFlags {
                header.openFlags = flags
                header.flags.remove(.openFlagsUnknown)
            }
        }
        if decision.pathUntrusted { header.flags.insert(.pathUntrusted) }
        if decision.matchedByObject { header.flags.insert(.matchedByObject) }
        if let row = decision.failure {
            header.flags.insert(.failurePolicy)
            header.noticeCode = UInt32(row.rawValue)
        }
        var fields = EventFields()
        fields[.resource] = resource
        fields[.requestedPath] = alias
        fields[.message] = detail
        if let path = facts.executable(state.pointee) { fields[.executable] = path }
        if let path = facts.parentExecutable(state.pointee) { fields[.parentExecutable] = path }
        let length = ProcFS.workingDirectory(of: thread, into: buffer)
        if length > 0 { fields[.workingDirectory] = UnsafeRawBufferPointer(rebasing: buffer[0..<length]) }
        let isExec = decision.category == .process && facts.isExec
        if mayReadMemory, let arguments = isExec ? facts.executedArguments() : facts.callerArguments() {
            fields[.arguments] = arguments
        }
        withUnsafeTemporaryAllocation(byteCount: 48, alignment: 8) { text in
            for index in 0..<16 { text[index] = facts.status.comm[index] }
            fields[.threadName] = UnsafeRawBufferPointer(rebasing: text[0..<facts.status.comm.count])
            let name = UnsafeMutableRawBufferPointer(rebasing: text[16...])
            let count = TerminalName.write(facts.stat.ttyNumber, into: name)
            fields[.terminal] = UnsafeRawBufferPointer(rebasing: name[0..<count])
            record = writer.build(header, fields)
        }
    }

    /// Writes the captured record to its ring and wakes the front when it sleeps.
    package func publish(_ board: StatusBoard) {
        let push = isBlock ? blockRing.write(record) : eventRing.write(record)
        if !push.isWritten { board.add(isBlock ? .blockRecordsLost : .eventRecordsLost) }
        if push.mustWakeConsumer { EventDescriptor.signal(wake) }
    }

    /// Reports a descriptor that was open before its rule.
    func publish(_ stale: StaleDescriptor, generation: UInt64, _ board: StatusBoard) {
        isBlock = true
        var status = ProcessStatus()
        _ = ProcFS.status(of: stale.pid, into: &status)
        var header = EventHeader(kind: .staleDescriptor, category: .file, effect: .audit, mechanism: .fanotify)
        header.ruleID = stale.rule.rawValue
        header.generation = generation
        header.wallClock = KernelClock.wall
        header.hostPID = stale.pid
        header.hostPPID = status.ppid
        header.uid = status.uid.real
        header.noticeCode = UInt32(bitPattern: stale.number)
        var fields = EventFields()
        let half = buffer.count / 2
        let first = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<half])
        let second = UnsafeMutableRawBufferPointer(rebasing: buffer[half...])
        let executable = ProcFS.executable(of: stale.pid, into: first)
        if executable > 0 { fields[.executable] = UnsafeRawBufferPointer(rebasing: first[0..<executable]) }
        let arguments = ProcFS.commandLine(of: stale.pid, into: second)
        if arguments > 0 { fields[.arguments] = UnsafeRawBufferPointer(rebasing: second[0..<arguments]) }
        stale.path.withUnsafeBytes { path in
            fields[.resource] = path
            record = writer.build(header, fields)
        }
        publish(board)
    }
}

extension Category {
    /// The category as records name it.
    fileprivate var reported: EventHeader.Category {
        switch self {
        case .process: .process
        case .file: .file
        case .networkProtocol: .protocol
        case .dns: .dns
        case .capability: .capability
        case .syscall: .syscall
        }
    }
}

/// The usual name of a controlling terminal from its device number, without allocating.
enum TerminalName {
    /// Writes `pts0`, `tty1`, `ttyS0` or `console`.
    ///
    /// - Parameter number: field 7 of `/proc/<pid>/stat`; 0 for none.
    /// - Returns: the length; 0 for none or an unusual terminal.
    static func write(_ number: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        guard number != 0 else { return 0 }
        let raw = UInt32(bitPattern: number)
        let major = raw >> 8 & 0xFFF
        let minor = raw & 0xFF | raw >> 12 & 0xFFF00
        switch major {
        case 136...143: return write("pts", (major - 136) << 20 | minor, buffer)
        case 4: return minor < 64 ? write("tty", minor, buffer) : write("ttyS", minor - 64, buffer)
        case 5 where minor == 1: return write("console", nil, buffer)
        default: return 0
        }
    }

    private static func write(_ prefix: StaticString, _ number: UInt32?, _ buffer: UnsafeMutableRawBufferPointer) -> Int
    {
        var length = prefix.utf8CodeUnitCount
        guard length + 10 <= buffer.count else { return 0 }
        for index in 0..<length { buffer[index] = prefix.utf8Start[index] }
        guard let number else { return length }
        var digits = 1
        var rest = number
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        rest = number
        for index in stride(from: length + digits - 1, through: length, by: -1) {
            buffer[index] = UInt8(0x30 + rest % 10)
            rest /= 10
        }
        length += digits
        return length
    }
}

/// Process ids of guardian, worker and front: let through whatever the rules say, or the agent would wait for itself.
public struct OwnProcesses: Sendable {
    private let board: StatusBoard

    /// Reads the ids from the board, where the guardian keeps them current.
    public init(board: StatusBoard) { self.board = board }

    /// Whether a process is one of them.
    public func contains(_ pid: Int32) -> Bool {
        let id = UInt64(UInt32(bitPattern: pid))
        return board.value(.guardianProcess) == id || board.value(.workerProcess) == id
            || board.value(.frontProcess) == id
    }
}
