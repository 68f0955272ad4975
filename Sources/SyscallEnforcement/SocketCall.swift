import FileEnforcement
import LinuxKernel
import PolicyEngine

/// A socket as rules see it. Of socket(2) and socketpair(2) domain, type and protocol are registers; of a socket that exists its own.
/// Either way what is decided on them is decided for good.
struct SocketCall {
    private static let packetDomain: Int32 = 17

    let domain: Int32
    let type: Int32
    let protocolNumber: Int32

    /// The registers of the call.
    init(_ notification: SystemCallNotification) {
        domain = Int32(truncatingIfNeeded: notification.argument(0))
        type = Int32(truncatingIfNeeded: notification.argument(1))
        protocolNumber = Int32(truncatingIfNeeded: notification.argument(2))
    }

    /// A socket that exists.
    init(_ kind: SocketKind) {
        (domain, type, protocolNumber) = (kind.domain, kind.type, kind.protocolNumber)
    }

    private var kind: SocketKind { SocketKind(domain: domain, type: type & 0xF, protocolNumber: protocolNumber) }

    /// Whether rules can be about it: those of other domains are nobody's business.
    var isRuled: Bool { kind.isInternet || domain == Self.packetDomain }

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
        let isInternet = kind.isInternet
        // The numbers of AF_SMC are its own.
        let transport = domain == SocketKind.smcDomain ? 6 : protocolNumber
        var source: UnsafeRawBufferPointer?
        var hasTerminal: Bool?
        for _ in 0..<4 {
            let verdict = snapshot.protocolVerdict(
                type: type, protocolNumber: transport, isInternet: isInternet, source: source,
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
