import PolicyEngine

/// What the rules on name queries mean for packets that ask for names, whoever sends them.
public struct DomainDecisions: Sendable, Hashable {
    /// A name that packets can be held against.
    public struct Name: Sendable, Hashable {
        /// In lower case, without a dot at the end.
        public var text: String
        /// The rule that refuses it and what is below it; `nil` for one that passes although a name above it is refused.
        public var blockedBy: RuleID?

        /// As messages have it (RFC 1035 3.1).
        var wire: [UInt8] {
            text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
                .flatMap { [UInt8(truncatingIfNeeded: $0.count)] + $0 } + [0]
        }

        /// How many labels it has.
        var depth: Int { text.utf8.reduce(1) { $1 == UInt8(ascii: ".") ? $0 + 1 : $0 } }
    }

    /// Names that packets are held against, at most: a query is compared with all of them.
    public static let limit = 64

    /// The nearest to a query come first.
    public private(set) var names: [Name] = []
    /// Blocking rules for which there was no room.
    public private(set) var beyondLimit: [RuleID] = []
    /// Blocking rules below whose name something passes.
    public private(set) var withExceptions: [RuleID] = []

    /// The decisions of a snapshot.
    ///
    /// - Parameters:
    ///   - domains: what its rules name.
    ///   - sources: the programs that they name.
    /// - Returns: `nil` when no query can be decided, or all of them pass without a word: where everything depends on the program, of which no
    ///   packet tells.
    public static func of(_ snapshot: Snapshot, domains: [String], sources: [String] = []) -> DomainDecisions? {
        guard snapshot.hasRules(in: .dns) else { return nil }
        var seen: Set<String> = []
        let decided = domains.map(lowered).filter { seen.insert($0).inserted }.map {
            ($0, verdict($0, sources, snapshot))
        }
        // Of what nobody names the posture of an allow-list decides.
        let rest = verdict(".", [], snapshot)
        guard (decided.map(\.1) + [rest]).contains(where: { $0.isDecided && $0.effect != .allow }) else { return nil }
        var result = DomainDecisions()
        for (name, verdict) in decided where blocks(verdict) {
            let above = decided.filter { name.hasSuffix("." + $0.0) }.max { $0.0.utf8.count < $1.0.utf8.count }
            if let above, above.1 == verdict { continue }
            // What is named below it and not refused by a rule of its own, perhaps because it depends on the program.
            let exceptions = decided.filter { $0.0.hasSuffix("." + name) && !blocks($0.1) }.map(\.0)
            let further = ([name] + exceptions).filter { name in !result.names.contains { $0.text == name } }
            guard result.names.count + further.count <= limit else {
                result.beyondLimit.append(verdict.rule)
                continue
            }
            result.names += further.map { Name(text: $0, blockedBy: $0 == name ? verdict.rule : nil) }
            if !exceptions.isEmpty { result.withExceptions.append(verdict.rule) }
        }
        result.names.sort { ($1.depth, $0.text) < ($0.depth, $1.text) }
        return result
    }

    /// Says of the rules on names which hold for packets, and how far.
    public func describe(_ rules: inout [RuleDescription], of workload: UInt64) {
        let beyond = Set(beyondLimit)
        let excepted = Set(withExceptions)
        for index in rules.indices
        where rules[index].category == .dns && rules[index].workload == workload
            && rules[index].sources.isEmpty
        {
            rules[index].isOfPackets = true
            if beyond.contains(rules[index].id) { rules[index].packetLimits.insert(.tooManyNames) }
            if excepted.contains(rules[index].id) { rules[index].packetLimits.insert(.exceptions) }
            if rules[index].attributes.action == .allow { rules[index].packetLimits.insert(.allowList) }
        }
    }

    /// A rule refuses it, whoever asks. Posture alone does not: an allow-list cannot be held against packets, as any of them can be made to have
    /// the bytes of a listed name somewhere.
    private static func blocks(_ verdict: Verdict) -> Bool {
        verdict.isDecided && verdict.effect == .block && verdict.rule != .defaultPosture
    }

    /// Decided also where the program would have to be known, if it is refused to each of them.
    private static func verdict(_ name: String, _ sources: [String], _ snapshot: Snapshot) -> Verdict {
        let name = Array(name.utf8)
        func verdict(_ source: String?) -> Verdict {
            name.withUnsafeBytes { name in
                guard let source else { return snapshot.dnsVerdict(name: name, source: nil) }
                return Array(source.utf8).withUnsafeBytes { snapshot.dnsVerdict(name: name, source: $0) }
            }
        }
        let whoever = verdict(nil)
        if whoever.isDecided { return whoever }
        // No program has the path "/".
        let others = verdict("/")
        return blocks(others) && sources.allSatisfy { blocks(verdict($0)) } ? others : whoever
    }

    /// ASCII only, as the engine has it.
    private static func lowered(_ name: String) -> String {
        let bytes = name.utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
        return String(decoding: bytes.last == UInt8(ascii: ".") ? bytes.dropLast() : bytes[...], as: UTF8.self)
    }
}
