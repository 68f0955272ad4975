import PolicyEngine

/// What rules on sockets and on names mean for packets, whoever sends them.
public struct PacketDecisions: Sendable {
    /// By transport.
    public var protocols: [ProtocolDecision] = []
    /// By name; `nil` when no query is to be looked at.
    public var domains: DomainDecisions?

    /// Packets need not be looked at.
    public var isEmpty: Bool { protocols.isEmpty && domains == nil }

    /// Nothing.
    public init() {}

    /// The decisions of a compiled snapshot.
    ///
    /// - Parameters:
    ///   - workload: whose it is.
    ///   - rules: the snapshot's, and perhaps others'; becomes what people are told of them, too.
    public init(
        of snapshot: [UInt8], as workload: UInt64 = SnapshotBundle.host, describing rules: inout [RuleDescription]
    ) throws {
        let names = rules.filter { $0.category == .dns && $0.workload == workload }
        (protocols, domains) = try snapshot.withUnsafeBytes { bytes in
            let snapshot = try Snapshot(validating: bytes)
            return (
                ProtocolDecision.of(snapshot),
                DomainDecisions.of(snapshot, domains: names.map(\.subject), sources: names.flatMap(\.sources))
            )
        }
        domains?.describe(&rules, of: workload)
        for decision in protocols
        where decision.rule != .defaultPosture && Int(decision.rule.rawValue) < rules.count {
            rules[Int(decision.rule.rawValue)].isOfPackets = true
        }
    }
}
