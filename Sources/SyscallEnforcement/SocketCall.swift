import FileEnforcement
import LinuxKernel
import PolicyEngine

/// socket(2) and socketpair(2): domain, type and protocol are registers, so what is decided on them is decided for good.
struct SocketCall {
    private static let internetDomains: (Int32, Int32) = (2, 10)

    let domain: Int32
    let type: Int32
    let protocolNumber: Int32

    /// The registers of the call.
    init(_ notification: SystemCallNotification) {
        domain = Int32(truncatingIfNeeded: notification.argument(0))
        type = Int32(truncatingIfNeeded: notification.argument(1))
        protocolNumber = Int32(truncatingIfNeeded: notification.argument(2))
    }

    /// What the rules say, finding out facts as they are wanted.
    func decide(_ facts: inout PermissionFacts, _ state: UnsafePointer<EnforcementState>) -> PermissionDecision {
        let decision = decide(&facts, state.pointee.snapshot, state)
        guard decision.allow, decision.failure == nil,
            let own = state.pointee.workloads.snapshot(of: facts.workload(state))
        else { return decision }
        let other = decide(&facts, own, state)
        return other.effect.rawValue > decision.effect.rawValue || other.failure != nil ? other : decision
    }

    private func decide(
        _ facts: inout PermissionFacts, _ snapshot: Snapshot, _ state: UnsafePointer<EnforcementState>
    ) -> PermissionDecision {
        let isInternet = domain == Self.internetDomains.0 || domain == Self.internetDomains.1
        var source: UnsafeRawBufferPointer?
        var hasTerminal: Bool?
        for _ in 0..<4 {
            let verdict = snapshot.protocolVerdict(
                type: type, protocolNumber: protocolNumber, isInternet: isInternet, source: source,
                hasTerminal: hasTerminal)
            if verdict.missing.isEmpty {
                return PermissionDecision(
                    allow: verdict.effect != .block, effect: verdict.effect, category: .networkProtocol,
                    rule: verdict.rule)
            }
            if verdict.missing.contains(.source) {
                guard let path = facts.executable(state.pointee) else { break }
                source = path
            }
            if verdict.missing.contains(.terminal) {
                guard facts.readStat() else { break }
                hasTerminal = facts.stat.ttyNumber != 0
            }
        }
        return .failed(.factUnavailable, .networkProtocol, state.pointee.failures)
    }

    /// Calls `body` with the registers as `EventField.resource` has them.
    func withResource<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let words: [3 of Int32] = [domain.littleEndian, type.littleEndian, protocolNumber.littleEndian]
        return withUnsafeBytes(of: words, body)
    }
}
