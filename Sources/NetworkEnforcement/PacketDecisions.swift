import PolicyEngine

/// What the host's rules on sockets and on names mean for packets, whoever sends them.
public struct PacketDecisions: Sendable {
    /// By transport.
    public var protocols: [ProtocolDecision] = []
    /// By name; `nil` when no query is to be looked at.
    public var domains: DomainDecisions?

    /// Packets need not be looked at.
    public var isEmpty: Bool { protocols.isEmpty && domains == nil }

    /// Nothing.
    public init() {}

    /// The decisions of a compiled snapshot of the host.
    ///
    /// - Parameter rules: the snapshot's; becomes what people are told of them, too.
    public init(of snapshot: [UInt8], describing rules: inout [RuleDescription]) throws {
        let names = rules.filter { $0.category == .dns && $0.workload == SnapshotBundle.host }
        (protocols, domains) = try snapshot.withUnsafeBytes { bytes in
            let snapshot = try Snapshot(validating: bytes)
            return (
                ProtocolDecision.of(snapshot),
                DomainDecisions.of(snapshot, domains: names.map(\.subject), sources: names.flatMap(\.sources))
            )
        }
        domains?.describe(&rules)
        for decision in protocols
        where decision.rule != .defaultPosture && Int(decision.rule.rawValue) < rules.count {
            rules[Int(decision.rule.rawValue)].isOfPackets = true
        }
    }
}
