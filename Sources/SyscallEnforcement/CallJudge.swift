import EventRing
import FileEnforcement
import LinuxKernel
import PolicyEngine

/// Asks the rules about each part of one call, and keeps what its alert will say: the first denial, or else the first audit. One
/// value, reused; its buffers are allocated once.
struct CallJudge {
    private var decider = PermissionDecider()
    private let reporter: PermissionReporter
    private let board: StatusBoard
    private var thread: Int32 = 0
    private var call = PermissionReporter.ReportedCall(number: 0)
    /// The strictest decision so far.
    private(set) var effect = Effect.allow
    private var isCaptured = false

    init(reporter: PermissionReporter, board: StatusBoard) {
        self.reporter = reporter
        self.board = board
    }

    /// Forgets the last call.
    ///
    /// - Parameters:
    ///   - workload: the one that the caller belongs to.
    ///   - call: as its alert names it.
    mutating func begin(thread: Int32, workload: UInt64, _ call: PermissionReporter.ReportedCall) {
        self.thread = thread
        decider.facts.knownWorkload = workload
        self.call = call
        (effect, isCaptured) = (.allow, false)
        decider.facts.begin(thread: thread, isExec: false)
    }

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
    ) -> Bool { note(decider.decideSeen(object, isExec: false, access: access, state), state) }

    /// Whether a name in a directory may come to mean something else.
    mutating func permits(
        name: UnsafeRawBufferPointer, in directory: Int32, _ state: UnsafePointer<EnforcementState>
    ) -> Bool {
        note(decider.decide(name: name, in: directory, thread: thread, state: state), state)
    }

    /// Whether a directory, which `permits(object:)` was just asked about, may get another name.
    mutating func permitsMove(_ state: UnsafePointer<EnforcementState>) -> Bool {
        decider.decideMove(state).map { note($0, state) } ?? true
    }

    /// Decides on registers: socket(2).
    mutating func permits(_ socket: SocketCall, _ state: UnsafePointer<EnforcementState>) -> Bool {
        let decision = socket.decide(&decider.facts, state)
        return socket.withResource { note(decision, state, resource: $0, isPerformed: false) }
    }

    /// Takes what a row of the failure table says for the decision; whether it allows the call.
    mutating func fail(_ row: FailureRow, _ category: Category, _ state: UnsafePointer<EnforcementState>) -> Bool {
        note(
            .failed(row, category, state.pointee.failures), state,
            resource: UnsafeRawBufferPointer(start: nil, count: 0),
            isPerformed: false)
    }

    /// Publishes what was captured, after the call was answered.
    func publish() {
        board.add(effect == .block ? .blocked : effect == .audit ? .audited : .allowed)
        if isCaptured { reporter.publish(board) }
    }

    /// - Parameters:
    ///   - resource: what the alert is about, if not the decider's path.
    ///   - isPerformed: the call is never let go on as it is, so its memory may be looked at.
    private mutating func note(
        _ decision: PermissionDecision, _ state: UnsafePointer<EnforcementState>,
        resource: UnsafeRawBufferPointer? = nil, isPerformed: Bool = true
    ) -> Bool {
        if let row = decision.failure { board.count(row) }
        guard decision.effect.rawValue > effect.rawValue else { return decision.allow }
        effect = decision.effect
        // While the thread still waits, and so still is what it was.
        reporter.capture(
            decision, facts: &decider.facts, mechanism: .seccomp, call: call, resource: resource ?? decider.path,
            alias: resource == nil ? decider.alias : UnsafeRawBufferPointer(start: nil, count: 0),
            mayReadMemory: isPerformed || !decision.allow, state: state)
        isCaptured = true
        return decision.allow
    }
}
