import AgentCore
import EventRing
import FileEnforcement
import LinuxKernel
import PolicyEngine
import PolicyModel
import Synchronization
import Telemetry

/// Takes records out of the rings, adds the words of their rules, and hands them to telemetry. Block alerts first.
final class AlertFeed {
    private var blockRing: EventReader
    private var eventRing: EventReader
    private let pipeline: TelemetryPipeline
    /// Lost records that no alert has told of yet.
    private var lost: UInt64 = 0
    /// Records taken in one go before other work has its turn.
    private static let batch = 512

    init(pipeline: TelemetryPipeline) throws(KernelError) {
        self.pipeline = pipeline
        blockRing = EventReader(ring: try SharedRegions.ring(RoleDescriptor.blockRing))
        eventRing = EventReader(ring: try SharedRegions.ring(RoleDescriptor.eventRing))
    }

    /// Processes what is there.
    ///
    /// - Parameters:
    ///   - container: a container by its number.
    ///   - rule: the description of a rule of a generation.
    /// - Returns: true when there may be more.
    func drain(
        _ container: (UInt32) -> AlertWorkload?, _ rule: (RuleID, UInt64) -> RuleDescription?
    ) -> Bool {
        var taken = 0
        while taken < Self.batch, take(blockRing.next(), container, rule) { taken += 1 }
        while taken < Self.batch, take(eventRing.next(), container, rule) { taken += 1 }
        return taken >= Self.batch
    }

    /// Says that the front is going to sleep; false when a record came meanwhile.
    func prepareSleep() -> Bool {
        guard blockRing.prepareToWait() else { return false }
        if eventRing.prepareToWait() { return true }
        blockRing.finishWaiting()
        return false
    }

    /// The front is awake again.
    func finishSleep() {
        blockRing.finishWaiting()
        eventRing.finishWaiting()
    }

    /// Deals with what was read; false when there was nothing.
    private func take(
        _ reading: EventReader.Reading, _ container: (UInt32) -> AlertWorkload?,
        _ rule: (RuleID, UInt64) -> RuleDescription?
    ) -> Bool {
        switch reading {
        case .empty: return false
        case .event(let record): process(record, container(record.header.container), rule)
        case .lost(let count): lost += count
        // What was not of the expected form is an alert that nobody will see.
        case .corrupt, .invalid: lost += 1
        }
        return true
    }

    private func process(
        _ record: EventRecord, _ workload: AlertWorkload?, _ rule: (RuleID, UInt64) -> RuleDescription?
    ) {
        let id = RuleID(rawValue: record.header.ruleID)
        var event = Self.event(record)
        event.lossCount = lost
        lost = 0
        pipeline.process(
            event, rule: metadata(record, id, rule(id, record.header.generation), isHost: workload == nil),
            workload: workload)
    }

    private func metadata(_ record: EventRecord, _ id: RuleID, _ rule: RuleDescription?, isHost: Bool) -> RuleMetadata {
        let denied = record.header.effect == .block || record.header.flags.contains(.unenforced)
        let action: RuleMetadata.Action = denied ? .block : .audit
        if record.header.flags.contains(.failurePolicy) {
            let row = FailureRow(rawValue: UInt8(truncatingIfNeeded: record.header.noticeCode))
            return RuleMetadata(
                policyName: row == .managerAsked ? "SupervisedTree" : "AgentFailure", message: row?.name ?? "",
                action: action, isHostPolicy: isHost)
        }
        if id == .patternLimit {
            return RuleMetadata(
                policyName: "AgentFailure", message: "pattern-limit", action: action, isHostPolicy: isHost)
        }
        if id == .defaultPosture { return .defaultPosture(action, isHostPolicy: isHost) }
        guard let rule else {
            return RuleMetadata(policyName: "UnknownPolicy", action: action, isHostPolicy: isHost)
        }
        var metadata = RuleMetadata(
            policyName: rule.policyName, severity: rule.attributes.severity, tags: rule.attributes.tags,
            message: rule.attributes.message, action: action, isHostPolicy: rule.policyKind == .host,
            presetName: rule.isPreset?.rawValue)
        if rule.category == .dns { metadata.domain = rule.subject }
        metadata.quotaLevel = rule.packet?.quotaLevel ?? ""
        metadata.quotaLimit = rule.packet?.quotaLimit ?? ""
        return metadata
    }

    private static func category(_ category: EventHeader.Category) -> EnforcementEvent.Category {
        switch category {
        case .process: .process
        case .file: .file
        case .protocol: .network
        case .dns: .query
        case .capability: .capability
        case .syscall: .syscall
        case .packet: .packet
        }
    }

    private static func event(_ record: EventRecord) -> EnforcementEvent {
        var event = EnforcementEvent()
        let header = record.header
        event.kind =
            header.kind == .staleDescriptor ? .staleDescriptor : header.effect == .allow ? .observation : .verdict
        event.category = category(header.category)
        event.enforcer =
            switch header.mechanism {
            case .seccomp: "seccomp"
            case .nftables: "nftables"
            case .fanotify, .none: "fanotify"
            }
        event.effect = header.effect == .block ? .block : .audit
        event.isPathUntrusted = header.flags.contains(.pathUntrusted)
        event.isMatchedByObject = header.flags.contains(.matchedByObject)
        if header.flags.contains(.truncated) { event.truncation = .arguments }
        event.wallClock = header.wallClock
        event.hostPID = header.hostPID
        event.hostPPID = header.hostPPID
        event.namespacePID = header.hostPID
        event.tid = header.tid
        event.uid = header.uid
        event.oid = header.oid
        event.syscallNumber = header.syscall
        event.openFlags = header.flags.contains(.openFlagsUnknown) ? nil : header.openFlags
        if header.kind == .staleDescriptor { event.descriptor = Int32(bitPattern: header.noticeCode) }
        event.resource = record.resource
        event.callText = record.message
        event.aliasPath = record.requestedPath
        event.executable = record.executable
        event.parentExecutable = record.parentExecutable
        event.workingDirectory = record.workingDirectory
        event.tty = record.terminal
        event.comm = record.threadName
        event.arguments = record.arguments
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
    var counters: SinkCounters { state.withLock { $0.counters } }
}
