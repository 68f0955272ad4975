import ControlProtocol

/// Says at each load what the rules do not cover: one line a policy and gap, each once in an agent's life.
struct GapLog {
    /// More lines than this help nobody; `portcullis status` lists every rule.
    static let lineLimit = 64

    private var said: Set<String> = []

    /// The lines that were not said before.
    ///
    /// - Parameters:
    ///   - rules: the rules in force with their gaps.
    ///   - gaps: gaps of the whole policy set.
    mutating func lines(rules: [RuleCoverage], gaps: [String]) -> [String] {
        var order: [String] = []
        var counts: [String: Int] = [:]
        func note(_ line: String) {
            guard !said.contains(line) else { return }
            if counts[line, default: 0] == 0 { order.append(line) }
            counts[line, default: 0] += 1
        }
        for gap in gaps { note(gap) }
        for rule in rules {
            for gap in rule.gaps {
                let effect = rule.enforcedBy.isEmpty ? "not enforced" : "not covered"
                note("\(rule.policy): \(rule.category): \(effect): \(gap)")
            }
        }
        said.formUnion(order)
        var lines = order.prefix(Self.lineLimit).map { line in
            let count = counts[line] ?? 1
            return count > 1 ? "\(line) (\(count) rules)" : line
        }
        if order.count > Self.lineLimit {
            lines.append("\(order.count - Self.lineLimit) more gaps: 'portcullis status' lists them")
        }
        return lines
    }
}
