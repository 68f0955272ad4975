import EventRing
import LinuxKernel
import PolicyEngine

/// Builds the record of a reported event while its caller still waits, and publishes it after the answer. Block alerts have a
/// ring of their own, so that a flood of audits cannot hide them.
///
/// Each thread has one of its own: it may be handed to a thread, not used by two.
public struct PermissionReporter: @unchecked Sendable {
    // Unchecked: buffers and ring view belong to whoever holds the value; see above.
    private let blockRing: RingProducer
    private let eventRing: RingProducer
    private let wake: Int32
    private var writer = EventWriter()
    private var isBlock = false
    private let ownProcesses: OwnProcesses
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 8192, alignment: 8)

    /// - Parameter wake: eventfd of the consumer.
    public init(blockRing: RingProducer, eventRing: RingProducer, wake: Int32, ownProcesses: OwnProcesses) {
        self.blockRing = blockRing
        self.eventRing = eventRing
        self.wake = wake
        self.ownProcesses = ownProcesses
    }

    /// Whether a process is one of the agent's own.
    func isOwn(_ pid: Int32) -> Bool { pid != 0 && ownProcesses.contains(pid) }

    /// Puts everything that the alert says into the record.
    mutating func capture(
        _ decision: PermissionDecision, decider: inout PermissionDecider, thread: Int32,
        state: UnsafePointer<EnforcementState>
    ) {
        writer.begin()
        isBlock = !decision.allow
        _ = decider.facts.readStatus()
        _ = decider.facts.readStat()
        decider.facts.readSystemCall()
        let facts = decider.facts
        writer.header.kind = EventRecord.Kind.verdict.rawValue
        writer.header.category = decision.category.rawValue
        writer.header.effect = decision.allow ? Effect.audit.rawValue : Effect.block.rawValue
        writer.header.mechanism = 1
        writer.header.rule = decision.rule.rawValue
        writer.header.generation = state.pointee.snapshot.generation
        writer.header.wall_clock = KernelClock.wall
        writer.header.pid = facts.status.tgid
        writer.header.ppid = facts.status.ppid
        writer.header.tid = thread
        writer.header.uid = facts.status.uid.real
        writer.header.owner = facts.object.uid
        writer.header.terminal = UInt32(bitPattern: facts.stat.ttyNumber)
        writer.header.system_call = -1
        if case .blocked(let number, _) = facts.systemCall {
            writer.header.system_call = Int32(truncatingIfNeeded: number)
            writer.header.open_flags = OpenIntent.of(facts.systemCall, tid: thread).flags
        }
        if decision.pathUntrusted { writer.header.flags |= EventFlag.pathUntrusted.rawValue }
        if decision.matchedByObject { writer.header.flags |= EventFlag.matchedByObject.rawValue }
        if let row = decision.failure {
            writer.header.flags |= EventFlag.failure.rawValue
            writer.header.detail = UInt32(row.rawValue)
        }
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        writer.add(.resource, decider.path)
        writer.add(.alias, decider.alias, limit: 1024)
        writer.add(.executable, decider.facts.executable(state.pointee) ?? none, limit: 1024)
        writer.add(.parentExecutable, decider.facts.parentExecutable(state.pointee) ?? none, limit: 1024)
        let length = ProcFS.workingDirectory(of: thread, into: buffer)
        writer.add(
            .workingDirectory, length > 0 ? UnsafeRawBufferPointer(rebasing: buffer[0..<length]) : none, limit: 1024)
        withUnsafeTemporaryAllocation(byteCount: 16, alignment: 8) { name in
            for index in 0..<16 { name[index] = facts.status.comm[index] }
            writer.add(.comm, UnsafeRawBufferPointer(rebasing: name[0..<facts.status.comm.count]))
        }
        let isExec = decision.category == .process && decider.facts.isExec
        writer.add(.arguments, (isExec ? decider.facts.executedArguments() : decider.facts.callerArguments()) ?? none)
        writer.add(.message, none)
    }

    /// Writes the captured record to its ring and wakes the front when it sleeps.
    mutating func publish(_ board: StatusBoard) {
        let ring = isBlock ? blockRing : eventRing
        if writer.publish(to: ring) != 0 { board.add(isBlock ? .blockRecordsLost : .eventRecordsLost) }
        if ring.needsWake { EventDescriptor.signal(wake) }
    }

    /// Reports a descriptor that was open before its rule.
    mutating func publish(_ stale: StaleDescriptor, generation: UInt64, _ board: StatusBoard) {
        writer.begin()
        isBlock = true
        var status = ProcessStatus()
        _ = ProcFS.status(of: stale.pid, into: &status)
        writer.header.kind = EventRecord.Kind.staleDescriptor.rawValue
        writer.header.category = Category.file.rawValue
        writer.header.effect = Effect.audit.rawValue
        writer.header.mechanism = 1
        writer.header.rule = stale.rule.rawValue
        writer.header.generation = generation
        writer.header.wall_clock = KernelClock.wall
        writer.header.pid = stale.pid
        writer.header.ppid = status.ppid
        writer.header.uid = status.uid.real
        writer.header.system_call = -1
        writer.header.detail = UInt32(bitPattern: stale.number)
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        stale.path.withUnsafeBytes { writer.add(.resource, $0) }
        writer.add(.alias, none)
        var length = ProcFS.executable(of: stale.pid, into: buffer)
        writer.add(.executable, length > 0 ? UnsafeRawBufferPointer(rebasing: buffer[0..<length]) : none, limit: 1024)
        length = ProcFS.executable(of: status.ppid, into: buffer)
        writer.add(
            .parentExecutable, length > 0 ? UnsafeRawBufferPointer(rebasing: buffer[0..<length]) : none, limit: 1024)
        writer.add(.workingDirectory, none)
        writer.add(.comm, none)
        length = ProcFS.commandLine(of: stale.pid, into: buffer)
        writer.add(.arguments, length > 0 ? UnsafeRawBufferPointer(rebasing: buffer[0..<length]) : none, limit: 4096)
        writer.add(.message, none)
        publish(board)
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
