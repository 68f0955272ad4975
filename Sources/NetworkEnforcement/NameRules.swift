import PolicyEngine

/// What the policies of one generation say of queries for names.
public struct NameRules: Sendable {
    private let snapshots: [UInt64: Snapshot]
    /// Keeps the memory of the snapshots.
    private let owner: (any AnyObject & Sendable)?

    /// No rules.
    public init() {
        snapshots = [:]
        owner = nil
    }

    /// The rules of a bundle whose memory `owner` keeps.
    public init(_ bundle: SnapshotBundle, keptBy owner: any AnyObject & Sendable) {
        snapshots = Dictionary(
            uniqueKeysWithValues: bundle.parts.filter { $0.snapshot.hasRules(in: .dns) }.map {
                ($0.workload, $0.snapshot)
            })
        self.owner = owner
    }

    /// A name that a packet asks for, and what becomes of it.
    struct Finding: Equatable {
        var name: [UInt8]
        var type: UInt16
        var rule: RuleID
        /// The rules would have refused it.
        var isForbidden: Bool
    }

    /// What is to be told of a packet that asks for names.
    ///
    /// - Parameters:
    ///   - content: what UDP or TCP carries.
    ///   - blockedBy: the rule that refused it; `nil` for a packet that passed.
    func findings(
        _ content: UnsafeRawBufferPointer, isStream: Bool, blockedBy: RuleID?, of workload: UInt64
    ) -> [Finding] {
        let snapshot = snapshots[workload]
        let found = Self.names(content, isStream: isStream).map { name in
            let verdict = snapshot.map { snapshot in
                name.text.withUnsafeBytes { snapshot.dnsVerdict(name: $0, source: nil) }
            }
            return (name: name, verdict: verdict)
        }
        if let blockedBy {
            // What refused the packet is a rule of the kernel's: it is told of even if the packet is a riddle.
            let cause = found.first { $0.verdict?.rule == blockedBy } ?? found.first
            return [
                Finding(
                    name: cause?.name.text ?? [UInt8(ascii: "?")], type: cause?.name.type ?? 0, rule: blockedBy,
                    isForbidden: true)
            ]
        }
        return found.compactMap { name, verdict in
            guard let verdict, verdict.isDecided, verdict.effect != .allow else { return nil }
            return Finding(
                name: name.text, type: name.type, rule: verdict.rule, isForbidden: verdict.effect == .block)
        }
    }

    private static func names(_ content: UnsafeRawBufferPointer, isStream: Bool) -> [(text: [UInt8], type: UInt16)] {
        guard isStream else { return names(content) }
        var result: [(text: [UInt8], type: UInt16)] = []
        var offset = 0
        while let message = DNSQuestions.message(in: content, at: &offset) { result += names(message) }
        // The length may have been sent before, alone.
        return result.isEmpty ? names(content) : result
    }

    private static func names(_ message: UnsafeRawBufferPointer) -> [(text: [UInt8], type: UInt16)] {
        guard var questions = DNSQuestions(message) else { return [] }
        return withUnsafeTemporaryAllocation(byteCount: DNSQuestions.longestName, alignment: 1) { room in
            var result: [(text: [UInt8], type: UInt16)] = []
            while case .name(let length, let type) = questions.next(into: room) {
                result.append((Array(room.prefix(length)), type))
            }
            return result
        }
    }
}
