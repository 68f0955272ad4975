import EventRing
import FileEnforcement
import LinuxKernel
import PolicyEngine

/// Asks the rules about each part of one call, and keeps what its alert will say: the first denial, or else the first audit. One
/// value, reused; its buffers are allocated once.
struct CallJudge {
    var decider: PermissionDecider
    let managers: ManagerSockets
    private let reporter: PermissionReporter
    private let board: StatusBoard
    private var thread: Int32 = 0
    private var call = PermissionReporter.ReportedCall(number: 0)
    /// The strictest decision so far.
    private(set) var effect = Effect.allow
    private var isCaptured = false
    private(set) var asks = true
    /// The alert is about the call itself already.
    private var isCallBlocked = false
    private var hasPath = false
    private let text = UnsafeMutableRawBufferPointer.allocate(byteCount: 128, alignment: 8)

    init(
        reporter: PermissionReporter, board: StatusBoard, executions: RecentExecutions, managers: ManagerSockets
    ) {
        self.managers = managers
        decider = PermissionDecider(executions)
        self.reporter = reporter
        self.board = board
        decider.seesLoaders = false
    }

    /// Forgets the last call.
    ///
    /// - Parameters:
    ///   - workload: the one that the caller belongs to.
    ///   - call: as its alert names it.
    ///   - enters: the caller came into its container from outside, and executes its first program there.
    ///   - asks: the rules are about it; a runtime that sets a container up is not the container yet.
    mutating func begin(
        thread: Int32, workload: UInt64, _ call: PermissionReporter.ReportedCall, asks: Bool = true,
        enters: Bool = false
    ) {
        decider.facts.entersWorkload = enters
        self.asks = asks
        self.thread = thread
        decider.facts.knownWorkload = workload
        self.call = call
        (effect, isCaptured, hasPath, isCallBlocked) = (.allow, false, false, false)
        decider.facts.begin(thread: thread, isExec: false)
    }

    // MARK: - Objects and names

    /// Whether an object may be written, or only read.
    mutating func permits(
        object: Int32, _ access: PermissionFacts.Access, _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        look(at: object)
        return permitsSeen(object, access, state)
    }

    /// Reads what an object is, before it is asked about: `nil` when it cannot be told.
    @discardableResult
    mutating func look(at object: Int32) -> ObjectStatus? {
        decider.look(at: object, thread: thread, isExec: false, access: .read) == 0 ? decider.facts.object : nil
    }

    /// What the object that was just looked at is called, and what it is.
    var seen: (name: UnsafeRawBufferPointer?, status: ObjectStatus) { (decider.nameSeen, decider.facts.object) }

    /// Whether the object that was just looked at may be written, or only read.
    mutating func permitsSeen(
        _ object: Int32, _ access: PermissionFacts.Access, _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        let decision = decider.decideSeen(object, isExec: false, access: access, state)
        hasPath = true
        return note(decision, state) && (access != .write || permitsManager(state))
    }

    /// Whether an object may be executed, which reads it as well.
    mutating func permitsExecution(of object: Int32, _ state: UnsafePointer<EnforcementState>) -> Bool {
        decider.look(at: object, thread: thread, isExec: true, access: .read)
        let decision = decider.decideSeen(object, isExec: true, access: .read, state)
        hasPath = true
        return note(decision, state) && permits(object: object, .read, state)
    }

    /// Whether a name in a directory may come to mean something else.
    mutating func permits(
        name: UnsafeRawBufferPointer, in directory: Int32, _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        let decision = decider.decide(name: name, in: directory, thread: thread, state: state)
        hasPath = true
        return note(decision, state) && permitsManager(state, isNew: true)
    }

    /// Whether a directory, which `permits(object:)` was just asked about, may get another name.
    mutating func permitsMove(_ state: UnsafePointer<EnforcementState>) -> Bool {
        (decider.decideMove(state).map { note($0, state) } ?? true) && permitsManagersMove(state)
    }

    /// The path that was asked about last, in the host's view; `nil` before.
    var lastPath: UnsafeRawBufferPointer? { hasPath && decider.path.count > 0 ? decider.path : nil }

    // MARK: - Registers

    /// Whether the rules let the caller have a socket; nothing is noted.
    mutating func allows(_ socket: SocketCall, _ state: UnsafePointer<EnforcementState>) -> Bool {
        !socket.isRuled || !asks || socket.decide(&decider.facts, state).allow
    }

    /// Decides on what a socket is: socket(2) by its registers, and calls on one that exists.
    ///
    /// - Parameter reportsAudit: it is told of when it is only to be told of.
    mutating func permits(
        _ socket: SocketCall, _ state: UnsafePointer<EnforcementState>, reportsAudit: Bool = true
    ) -> Bool {
        let decision = socket.decide(&decider.facts, state)
        if decision.effect == .audit, !reportsAudit { return true }
        return socket.withResource { note(decision, state, resource: $0, isPerformed: false) }
    }

    // MARK: - Queries

    /// Whether rules are about what resolvers are asked.
    mutating func hasQueryRules(_ state: UnsafePointer<EnforcementState>) -> Bool {
        guard asks else { return false }
        return state.pointee.snapshot.hasRules(in: .dns)
            || state.pointee.workloads.snapshot(of: decider.facts.workload(state))?.hasRules(in: .dns) == true
    }

    /// Whether some query of the caller's could be blocked; also when it cannot be told who that is.
    mutating func mayBlockQueries(_ state: UnsafePointer<EnforcementState>) -> Bool {
        guard asks else { return false }
        return mayBlockQueries(state.pointee.snapshot, state)
            || state.pointee.workloads.snapshot(of: decider.facts.workload(state)).map { mayBlockQueries($0, state) }
                == true
    }

    private mutating func mayBlockQueries(_ snapshot: Snapshot, _ state: UnsafePointer<EnforcementState>) -> Bool {
        snapshot.mayBlockQueries(source: nil)
            ?? snapshot.mayBlockQueries(source: decider.facts.executable(state.pointee)) ?? true
    }

    /// Whether a resolver may be asked for a name.
    ///
    /// - Parameters:
    ///   - type: QTYPE.
    ///   - address: the resolver's; empty where it is not known.
    mutating func permits(
        query name: UnsafeRawBufferPointer, type: UInt16, through kind: SocketKind, at address: UnsafeRawBufferPointer,
        _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        let decision = decideForAll(.dns, state) { $0.dnsVerdict(name: name, source: $1) }
        return note(
            decision, state, resource: name, detail: QueryRecord.write(type: type, kind, address, into: text))
    }

    /// Takes what the failure table says of a query that cannot be looked into; whether it may go out.
    ///
    /// - Parameter address: the resolver's.
    mutating func failQuery(
        through kind: SocketKind, at address: UnsafeRawBufferPointer, _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        note(
            .failed(.queryUnreadable, .dns, state.pointee.failures), state,
            resource: UnsafeRawBufferPointer(start: nil, count: 0),
            detail: QueryRecord.write(type: 0, kind, address, into: text))
    }

    /// Asks a snapshot, and once more with the caller's program if that is what it depends on.
    private mutating func decide(
        _ category: Category, _ state: UnsafePointer<EnforcementState>,
        _ verdict: (_ source: UnsafeRawBufferPointer?) -> Verdict
    ) -> PermissionDecision {
        var answer = verdict(nil)
        if answer.missing.contains(.source) {
            guard let source = decider.facts.executable(state.pointee) else {
                return .failed(.factUnavailable, category, state.pointee.failures)
            }
            answer = verdict(source)
        }
        return PermissionDecision(
            allow: answer.effect != .block, effect: answer.effect, category: category, rule: answer.rule)
    }

    /// Asks the host's snapshot and that of the caller's own workload: the stricter counts.
    private mutating func decideForAll(
        _ category: Category, _ state: UnsafePointer<EnforcementState>,
        _ verdict: (Snapshot, _ source: UnsafeRawBufferPointer?) -> Verdict
    ) -> PermissionDecision {
        let snapshot = state.pointee.snapshot
        let decision = decide(category, state) { verdict(snapshot, $0) }
        guard decision.allow, decision.failure == nil,
            let own = state.pointee.workloads.snapshot(of: decider.facts.workload(state))
        else { return decision }
        let other = decide(category, state) { verdict(own, $0) }
        return other.effect.rawValue > decision.effect.rawValue || other.failure != nil ? other : decision
    }

    /// Decides on registers: mmap(2) of memory that can be executed.
    mutating func permits(_ map: MapCall, _ state: UnsafePointer<EnforcementState>) -> Bool {
        var verdict = state.pointee.snapshot.anonymousMapVerdict
        if verdict.effect != .block,
            let own = state.pointee.workloads.snapshot(of: decider.facts.workload(state))?.anonymousMapVerdict,
            own.effect.rawValue > verdict.effect.rawValue
        {
            verdict = own
        }
        return note(
            PermissionDecision(
                allow: verdict.effect != .block, effect: verdict.effect, category: .file, rule: verdict.rule), state,
            resource: UnsafeRawBufferPointer(start: nil, count: 0), isPerformed: false, detail: map.write(into: text))
    }

    /// Whether the caller's program may use a capability.
    mutating func permits(capability number: UInt8, _ state: UnsafePointer<EnforcementState>) -> Bool {
        let decision = decideForAll(.capability, state) { $0.capabilityVerdict(number, source: $1) }
        return note(decision, state, resource: CapabilityText.name(of: number), isPerformed: false)
    }

    /// Whether every id that a call of the setuid(2) family would set is one the caller has.
    mutating func ownsIDs(
        of notification: SystemCallNotification, _ name: UnsafeRawBufferPointer, isGroup: Bool
    ) -> Bool {
        guard decider.facts.readStatus() else { return false }
        let own = isGroup ? decider.facts.status.gid : decider.facts.status.uid
        // set*id, setre*id, setres*id.
        let count =
            ByteText.suffix(of: name, after: "setres") != nil
            ? 3 : ByteText.suffix(of: name, after: "setre") != nil ? 2 : 1
        for index in 0..<count {
            let id = UInt32(truncatingIfNeeded: notification.argument(index))
            // -1 leaves an id as it is, where there are several.
            if id == .max, count > 1 { continue }
            if id != own.real, id != own.effective, id != own.saved { return false }
        }
        return true
    }

    /// Takes what a row of the failure table says for the decision; whether it allows the call.
    mutating func fail(_ row: FailureRow, _ category: Category, _ state: UnsafePointer<EnforcementState>) -> Bool {
        note(
            .failed(row, category, state.pointee.failures), state,
            resource: UnsafeRawBufferPointer(start: nil, count: 0),
            isPerformed: false)
    }

    /// Whether the call itself is refused, whatever it is about.
    mutating func permitsCall(
        _ name: UnsafeRawBufferPointer, _ notification: SystemCallNotification,
        _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        guard asks else { return true }
        let decision = decideForAll(.syscall, state) { $0.blockedCallVerdict(name: name, source: $1) }
        guard decision.effect != .allow else { return true }
        isCallBlocked = !decision.allow
        return note(
            decision, state, resource: UnsafeRawBufferPointer(start: nil, count: 0), isPerformed: false,
            detail: CallText.write(name, notification, into: text))
    }

    // MARK: - Reports

    /// Reports the call itself, if a rule of the `syscalls` section is about it: besides what was decided about its parts. Of a call that
    /// fails for a rule the report says so.
    mutating func reportCall(
        _ name: UnsafeRawBufferPointer, path: UnsafeRawBufferPointer?, _ notification: SystemCallNotification,
        isRefused: Bool, _ state: UnsafePointer<EnforcementState>
    ) {
        guard asks, !isCallBlocked else { return }
        let rule =
            auditRule(name, path, state.pointee.snapshot, state)
            ?? state.pointee.workloads.snapshot(of: decider.facts.workload(state)).flatMap {
                auditRule(name, path, $0, state)
            }
        guard let rule else { return }
        if isCaptured { reporter.publish(board) }
        let decision = PermissionDecision(
            allow: !isRefused, effect: isRefused ? .block : .audit, category: .syscall, rule: rule)
        let detail = CallText.write(name, notification, into: text)
        reporter.capture(
            decision, facts: &decider.facts, mechanism: .seccomp, call: call,
            resource: path ?? UnsafeRawBufferPointer(start: nil, count: 0),
            alias: UnsafeRawBufferPointer(start: nil, count: 0), detail: detail, mayReadMemory: isRefused,
            state: state)
        if effect == .allow { effect = .audit }
        isCaptured = true
    }

    private mutating func auditRule(
        _ name: UnsafeRawBufferPointer, _ path: UnsafeRawBufferPointer?, _ snapshot: Snapshot,
        _ state: UnsafePointer<EnforcementState>
    ) -> RuleID? {
        guard snapshot.hasRules(in: .syscall) else { return nil }
        var verdict = snapshot.syscallVerdict(name: name, path: path, source: nil)
        if verdict.missing.contains(.source) {
            guard let source = decider.facts.executable(state.pointee) else { return nil }
            verdict = snapshot.syscallVerdict(name: name, path: path, source: source)
        }
        return verdict.missing.isEmpty && verdict.effect == .audit ? verdict.rule : nil
    }

    /// Publishes what was captured, after the call was answered.
    ///
    /// - Parameter isAnswered: false when nobody waited any more: a denial is then made, and told, when the call comes again, which it does
    ///   after a signal before Linux 5.19 or without WAIT_KILLABLE_RECV.
    func publish(isAnswered: Bool = true) {
        if !isAnswered, effect == .block { return }
        board.add(effect == .block ? .blocked : effect == .audit ? .audited : .allowed)
        if isCaptured { reporter.publish(board) }
    }

    /// - Parameters:
    ///   - resource: what the alert is about, if not the decider's path.
    ///   - detail: what the alert says of the call's registers.
    ///   - isPerformed: the call is never let go on as it is, so its memory may be looked at.
    mutating func note(
        _ decision: PermissionDecision, _ state: UnsafePointer<EnforcementState>,
        resource: UnsafeRawBufferPointer? = nil, isPerformed: Bool = true,
        detail: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) -> Bool {
        if asks, let row = decision.failure { board.count(row) }
        guard asks else { return true }
        guard decision.effect.rawValue > effect.rawValue else {
            // Nothing to report so far: then it is told of, if it is to be seen. Something stricter takes its place.
            guard effect == .allow, decision.effect == .allow, !isCaptured, state.pointee.sees(decision.category) else {
                return decision.allow
            }
            capture(decision, state, resource: resource, isPerformed: isPerformed, detail: detail)
            return decision.allow
        }
        effect = decision.effect
        // It was reported as an execution.
        if decision.isRepeat { return decision.allow }
        capture(decision, state, resource: resource, isPerformed: isPerformed, detail: detail)
        return decision.allow
    }

    /// While the thread still waits, and so still is what it was.
    private mutating func capture(
        _ decision: PermissionDecision, _ state: UnsafePointer<EnforcementState>, resource: UnsafeRawBufferPointer?,
        isPerformed: Bool, detail: UnsafeRawBufferPointer
    ) {
        reporter.capture(
            decision, facts: &decider.facts, mechanism: .seccomp, call: call, resource: resource ?? decider.path,
            alias: resource == nil ? decider.alias : UnsafeRawBufferPointer(start: nil, count: 0),
            detail: detail, mayReadMemory: isPerformed || !decision.allow, state: state)
        isCaptured = true
    }
}
