import EventRing

/// What the text of a logging rule says: which rule of which generation, and what it did.
public struct PacketTag: Sendable, Hashable {
    /// What became of the packet.
    public enum Effect: UInt8, Sendable, CaseIterable {
        case audit = 0x61
        case block = 0x62
        /// A rule on sockets, rather than one on packets.
        case protocolAudit = 0x70
        /// As `protocolAudit`.
        case protocolBlock = 0x73
        /// A quota was used up, and packets pass all the same.
        case quotaAudit = 0x71
        /// A quota was used up.
        case quotaBlock = 0x72
        /// A query for a name that passes; rules may be about it.
        case query = 0x64
        /// A query for a name that did not pass.
        case queryBlock = 0x65
    }

    /// The packet did not pass.
    public var blocks: Bool { [.block, .quotaBlock, .protocolBlock, .queryBlock].contains(effect) }

    /// The packet asks for a name.
    public var isQuery: Bool { effect == .query || effect == .queryBlock }

    /// What the rule is about.
    public var origin: PacketFlow.Origin {
        switch effect {
        case .audit, .block, .query, .queryBlock: .packets
        case .quotaAudit, .quotaBlock: .quota
        case .protocolAudit, .protocolBlock: .sockets
        }
    }

    /// The generation of the policies.
    public var generation: UInt64
    /// The rule's number.
    public var rule: UInt32
    /// What became of the packet.
    public var effect: Effect
    /// Whose rule it is in a table that several workloads share; `nil` when the table says it.
    public var workload: UInt64?

    private static let mark = Array("portcullis ".utf8)

    /// `portcullis GENERATION RULE EFFECT` and perhaps the workload; no byte of it is the choice of whoever writes policies.
    public var text: String {
        "portcullis \(generation) \(rule) \(Character(Unicode.Scalar(effect.rawValue)))"
            + (workload.map { " \($0)" } ?? "")
    }

    /// Creates a tag.
    public init(generation: UInt64, rule: UInt32, effect: Effect) {
        self.generation = generation
        self.rule = rule
        self.effect = effect
    }

    /// Reads a tag; `nil` for the text of somebody else's rule. Allocates nothing.
    public init?(_ bytes: UnsafeRawBufferPointer) {
        var index = 0
        while index < Self.mark.count {
            guard index < bytes.count, bytes[index] == Self.mark[index] else { return nil }
            index += 1
        }
        func number() -> UInt64? {
            var value: UInt64 = 0
            let start = index
            while index < bytes.count, (0x30...0x39).contains(bytes[index]) {
                let (tens, isOver) = value.multipliedReportingOverflow(by: 10)
                let (sum, isOverToo) = tens.addingReportingOverflow(UInt64(bytes[index] - 0x30))
                guard !isOver, !isOverToo else { return nil }
                value = sum
                index += 1
            }
            return index > start ? value : nil
        }
        func space() -> Bool {
            guard index < bytes.count, bytes[index] == 0x20 else { return false }
            index += 1
            return true
        }
        guard let generation = number(), space(), let rule = number().flatMap(UInt32.init(exactly:)), space(),
            index < bytes.count, let effect = Effect(rawValue: bytes[index])
        else { return nil }
        self.init(generation: generation, rule: rule, effect: effect)
        index += 1
        if index < bytes.count {
            guard space(), let number = number(), index == bytes.count else { return nil }
            workload = number
        }
    }
}
