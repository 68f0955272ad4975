import EventRing
import FileEnforcement
import LinuxKernel
import PolicyEngine
import PolicyModel
import Synchronization
import Telemetry

/// Takes records out of the rings, adds the words of their rules, and hands them to telemetry. Block alerts first.
final class AlertFeed {
    private let blockRing: RingConsumer
    private let eventRing: RingConsumer
    private let pipeline: TelemetryPipeline
    /// Records taken in one go before other work has its turn.
    private static let batch = 512

    init(pipeline: TelemetryPipeline) throws(KernelError) {
        self.pipeline = pipeline
        blockRing = try SharedRegions.consumer(RoleDescriptor.blockRing)
        eventRing = try SharedRegions.consumer(RoleDescriptor.eventRing)
    }

    /// Processes what is there.
    ///
    /// - Parameter rule: the description of a rule of a generation.
    /// - Returns: true when there may be more.
    func drain(_ rule: (RuleID, UInt64) -> RuleDescription?) -> Bool {
        var taken = 0
        for ring in [blockRing, eventRing] {
            while taken < Self.batch, let record = ring.next() {
                taken += 1
                process(record, lost: ring.takeLost(), rule)
            }
        }
        return taken >= Self.batch
    }

    /// Says that the front is going to sleep; false when a record came meanwhile.
    func prepareSleep() -> Bool { blockRing.prepareSleep() && eventRing.prepareSleep() }

    /// The worker was replaced: what the old one left half-written is not waited for.
    func abandon() {
        blockRing.abandon()
        eventRing.abandon()
    }

    private func process(_ record: EventRecord, lost: UInt64, _ rule: (RuleID, UInt64) -> RuleDescription?) {
        let id = RuleID(rawValue: record.header.rule)
        var event = Self.event(record)
        event.lossCount = lost
        pipeline.process(event, rule: metadata(record, id, rule(id, record.header.generation)))
    }

    private func metadata(_ record: EventRecord, _ id: RuleID, _ rule: RuleDescription?) -> RuleMetadata {
        let denied = record.header.effect == Effect.block.rawValue
        let action: RuleMetadata.Action = denied ? .block : .audit
        if record.has(.failure) {
            let row = FailureRow(rawValue: UInt8(truncatingIfNeeded: record.header.detail))
            return RuleMetadata(
                policyName: "AgentFailure", message: row?.name ?? "", action: action, isHostPolicy: true)
        }
        if id == .defaultPosture { return .defaultPosture(action, isHostPolicy: true) }
        guard let rule else {
            return RuleMetadata(policyName: "UnknownPolicy", action: action, isHostPolicy: true)
        }
        return RuleMetadata(
            policyName: rule.policyName, severity: rule.attributes.severity, tags: rule.attributes.tags,
            message: rule.attributes.message, action: action, isHostPolicy: rule.policyKind == .host,
            presetName: rule.isPreset?.rawValue)
    }

    private static func event(_ record: EventRecord) -> EnforcementEvent {
        var event = EnforcementEvent()
        let header = record.header
        event.kind = record.kind == .verdict ? .verdict : .staleDescriptor
        event.category = header.category == Category.process.rawValue ? .process : .file
        event.effect = header.effect == Effect.block.rawValue ? .block : .audit
        event.isPathUntrusted = record.has(.pathUntrusted)
        event.isMatchedByObject = record.has(.matchedByObject)
        if record.has(.truncated) { event.truncation = .arguments }
        event.wallClock = header.wall_clock
        event.hostPID = header.pid
        event.hostPPID = header.ppid
        event.namespacePID = header.pid
        event.tid = header.tid
        event.uid = header.uid
        event.oid = header.owner
        event.syscallNumber = header.system_call
        event.openFlags = header.system_call >= 0 ? UInt32(truncatingIfNeeded: header.open_flags) : nil
        if record.kind == .staleDescriptor { event.descriptor = Int32(bitPattern: header.detail) }
        event.resource = record[.resource]
        event.aliasPath = record[.alias]
        event.executable = record[.executable]
        event.parentExecutable = record[.parentExecutable]
        event.workingDirectory = record[.workingDirectory]
        event.tty = ProcessStat.terminalName(of: Int32(bitPattern: header.terminal)).map { Array($0.utf8) } ?? []
        event.comm = record[.comm]
        event.arguments = record[.arguments]
        event.snapshotGeneration = header.generation
        return event
    }
}

/// The alerts for clients of `portcullis logs`: a bounded queue between the telemetry thread and the front's loop.
final class SubscriberSink: AlertSink {
    private struct State: Sendable {
        var lines: [[UInt8]] = []
        var counters = SinkCounters()
        var isWanted = false
    }
    private let state = Mutex(State())
    private let wake: Int32
    private static let capacity = 4096

    /// - Parameter wake: eventfd of the front's loop.
    init(wake: Int32) { self.wake = wake }

    /// Whether anybody listens.
    func setWanted(_ wanted: Bool) {
        state.withLock {
            $0.isWanted = wanted
            if !wanted { $0.lines = [] }
        }
    }

    /// Takes the lines out, and how many did not fit.
    func take() -> (lines: [[UInt8]], lost: UInt64) {
        state.withLock { state in
            defer {
                state.lines = []
                state.counters.lost = 0
            }
            return (state.lines, state.counters.lost)
        }
    }

    func write(_ line: [UInt8]) {
        let isNew = state.withLock { state -> Bool in
            guard state.isWanted else { return false }
            if state.lines.count >= Self.capacity { state.counters.lost += 1 } else { state.lines.append(line) }
            state.counters.written += 1
            return true
        }
        if isNew { EventDescriptor.signal(wake) }
    }

    func flush() -> Bool { true }
    func reopen() -> Bool { true }
    var counters: SinkCounters { state.withLock { $0.counters } }
}
