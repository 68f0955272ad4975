import PolicyEngine

/// The chains that hold packets against names.
///
/// A query's name lies at no fixed place of its packet: what is asked for may be below the name of a rule, and TCP has options. So the bytes of the
/// names are looked for at every place where they can be: a chain for each, that is entered only where the byte can be the length of a
/// name's first label.
struct DomainChains {
    private let decisions: DomainDecisions
    private let tag: (UInt32, PacketTag.Effect) -> String
    private(set) var chains: [Ruleset.Chain] = []

    /// Logged packets a second, after a burst: whatever asks for a name has to be looked at.
    private static let rate = Ruleset.Match.rate(perSecond: 1000, burst: 2000)
    private static let port: UInt16 = 53
    private static let queries = "dns-query"
    private static let names = "dns-names"

    // Bytes; RFC 768, RFC 9293 3.1, RFC 1035 4.1.1, 4.2.2, 2.3.4.
    private static let header = 12
    private static let firstPlace = 8 + header
    private static let lastHeader = 60 + 2 + header
    private static let longestName = 255
    /// The third byte of a message, whose highest bit says that it is an answer.
    private static let flagsPlace: UInt16 = 8 + 2
    /// IPv4 and TCP without options, and less than a message.
    private static let shortestQuery: UInt16 = 20 + 20 + 2 + UInt16(header)
    private static let shortestNetworkHeader = 20
    /// Places between two looks at the packet's length.
    private static let stride = 16

    /// - Parameters:
    ///   - tag: what packets of a rule are logged with.
    ///   - decisions: what names there are.
    init(_ decisions: DomainDecisions, tag: @escaping (UInt32, PacketTag.Effect) -> String) {
        self.decisions = decisions
        self.tag = tag
        let search = decisions.names.isEmpty ? [] : [Ruleset.Rule(action: .decide(.jump(Self.names)))]
        let pass = Ruleset.Rule(action: .decide(.goto(Self.queries)))
        // After the rules on packets and quotas: what they refuse is no query that was made.
        chains = [
            Ruleset.Chain(
                name: "dns", hook: .output, priority: 2,
                rules: [
                    Ruleset.Rule(
                        matches: [.transport(17), .ports(first: Self.port, last: Self.port)],
                        action: .decide(.goto("dns-udp"))),
                    Ruleset.Rule(
                        matches: [.transport(6), .ports(first: Self.port, last: Self.port)],
                        action: .decide(.goto("dns-tcp"))),
                ]),
            Ruleset.Chain(
                name: "dns-udp",
                rules: [
                    Ruleset.Rule(
                        matches: [.payload(offset: Self.flagsPlace, mask: [0x80], value: [0x80])],
                        action: .decide(.accept))
                ] + search + [pass]),
            Ruleset.Chain(
                name: "dns-tcp",
                rules: [Ruleset.Rule(matches: [.shorter(Self.shortestQuery)], action: .decide(.accept))] + search
                    + [pass]),
            Ruleset.Chain(
                name: Self.queries,
                rules: [
                    Ruleset.Rule(
                        matches: [Self.rate], log: tag(RuleID.none.rawValue, .query),
                        logBytes: Ruleset.loggedQueryBytes),
                    Ruleset.Rule(action: .decide(.accept)),
                ]),
        ]
        if !decisions.names.isEmpty { addSearch() }
        for rule in Set(decisions.names.compactMap(\.blockedBy)).sorted(by: { $0.rawValue < $1.rawValue }) {
            chains.append(
                Ruleset.Chain(
                    name: "rule-\(rule.rawValue)",
                    rules: [
                        Ruleset.Rule(
                            matches: [Self.rate], log: tag(rule.rawValue, .queryBlock),
                            logBytes: Ruleset.loggedQueryBytes),
                        Ruleset.Rule(counts: true, action: .decide(.drop)),
                    ]))
        }
    }

    private mutating func addSearch() {
        let names = decisions.names.map { (name: $0, wire: $0.wire) }
        let firsts = names.map(\.wire[0])
        guard let shortest = names.map(\.wire.count).min(), let first = firsts.min(), let last = firsts.max() else {
            return
        }
        var search: [Ruleset.Rule] = []
        var places: [Ruleset.Chain] = []
        for place in Self.firstPlace...(Self.lastHeader + Self.longestName - shortest) {
            if (place - Self.firstPlace) % Self.stride == 0 {
                search.append(
                    Ruleset.Rule(
                        matches: [.shorter(UInt16(Self.shortestNetworkHeader + place + shortest))],
                        action: .decide(.leave)))
            }
            let chain = "dns-at-\(place)"
            search.append(
                Ruleset.Rule(
                    matches: [.payloadByte(offset: UInt16(place), first: first, last: last)],
                    action: .decide(.jump(chain))))
            places.append(
                Ruleset.Chain(
                    name: chain,
                    rules: names.filter { place <= Self.lastHeader + Self.longestName - $0.wire.count }.map {
                        Ruleset.Rule(
                            matches: Self.matches($0.wire, at: place),
                            action: .decide(
                                .goto($0.name.blockedBy.map { "rule-\($0.rawValue)" } ?? Self.queries)))
                    }))
        }
        chains.append(Ruleset.Chain(name: Self.names, rules: search))
        chains += places
    }

    /// The bytes of a name, whatever the case of its letters.
    private static func matches(_ wire: [UInt8], at place: Int) -> [Ruleset.Match] {
        Swift.stride(from: 0, to: wire.count, by: 16).map { start in
            let part = wire[start..<min(start + 16, wire.count)]
            let mask = part.map { (0x61...0x7A).contains($0) ? UInt8(0xDF) : 0xFF }
            return .payload(
                offset: UInt16(place + start), mask: mask.allSatisfy { $0 == 0xFF } ? [] : mask,
                value: zip(part, mask).map { $0 & $1 })
        }
    }
}
