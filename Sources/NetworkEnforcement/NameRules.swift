import PolicyEngine

/// What the policies of a bundle say of queries for names.
public struct NameRules: Sendable {
    /// Whose policies they are, as a logged packet tells it.
    struct Owner: Hashable, Sendable {
        /// Of the snapshot: that of a set of policies that containers share is its own.
        var generation: UInt64
        /// The host, a tree, or the set of policies that a container has.
        private var part: UInt64

        /// The owner of a rule that a workload's packets are logged by.
        init(generation: UInt64, workload: UInt64) {
            self.generation = generation
            part = SnapshotBundle.isContainer(workload) ? SnapshotBundle.set(generation) : workload
        }
    }

    private let snapshots: [Owner: Snapshot]
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
                (Owner(generation: $0.snapshot.generation, workload: $0.workload), $0.snapshot)
            })
        self.owner = owner
    }

    /// Nothing in it is about names.
    var isEmpty: Bool { snapshots.isEmpty }

    /// It has the policies of this owner, and they are about names.
    func has(_ owner: Owner) -> Bool { snapshots[owner] != nil }

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
        _ content: UnsafeRawBufferPointer, isStream: Bool, blockedBy: RuleID?, of owner: Owner
    ) -> [Finding] {
        let snapshot = snapshots[owner]
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
