import PolicyEngine

/// What the rules on sockets mean for packets of a transport, whoever sends them.
public struct ProtocolDecision: Sendable, Hashable {
    /// IPPROTO_*.
    public var transport: UInt8
    /// Refused, or only reported.
    public var blocks: Bool
    /// The rule, or the default posture.
    public var rule: RuleID

    /// The transports, each with the types of the sockets that send it. Raw sockets can send anything, so of what a rule says
    /// of them no packet tells.
    private static let transports: [(number: UInt8, types: [Int32])] = [
        (1, [2, 3]), (6, [1]), (17, [2]), (33, [6]), (58, [2, 3]), (132, [1, 5]), (136, [2]),
    ]

    /// The decisions of a snapshot. A transport whose decision depends on the program, on its terminal or on the type of the socket has
    /// none: no packet tells of these.
    public static func of(_ snapshot: Snapshot) -> [ProtocolDecision] {
        guard snapshot.hasRules(in: .networkProtocol) else { return [] }
        return transports.compactMap { transport in
            let verdicts = transport.types.map {
                snapshot.protocolVerdict(
                    type: $0, protocolNumber: Int32(transport.number), isInternet: true, source: nil, hasTerminal: nil)
            }
            guard let verdict = verdicts.first, verdicts.allSatisfy({ $0 == verdict }), verdict.isDecided,
                verdict.effect != .allow
            else { return nil }
            return ProtocolDecision(
                transport: transport.number, blocks: verdict.effect == .block, rule: verdict.rule)
        }
    }
}
