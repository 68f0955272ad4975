import ClientSupport
import ControlProtocol

/// The agent's status for people. Rows are ordered, so that two reports can be compared.
struct StatusReport {
    let status: AgentStatus
    let style: TextStyle

    var lines: [String] {
        var lines = header
        lines += section("Rules", rules)
        lines += section("Counters", counters)
        lines += section("Failures", failures)
        lines += section("Gaps", status.gaps.map { "- " + SafeText.line($0) })
        return lines
    }

    private var header: [String] {
        let roles = status.processes.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        let generation = status.generation == 0 ? "none yet" : "\(status.generation)"
        let fields = [
            ("Agent", "portcullisd \(status.version)"), ("Host", status.host), ("Generation", generation),
            ("Processes", roles.isEmpty ? "none" : roles),
        ]
        return fields.map { name, value in
            style.bold(name + ":") + String(repeating: " ", count: 12 - name.count) + SafeText.line(value)
        }
    }

    private func section(_ title: String, _ content: [String]) -> [String] {
        content.isEmpty ? [] : ["", style.bold(title)] + content
    }

    private var rules: [String] {
        if status.rules.isEmpty { return ["no rule is in force"] }
        var table = TextTable(["POLICY", "CATEGORY", "ACTION", "SUBJECT", "ENFORCED BY"])
        for rule in status.rules {
            let isEnforced = !rule.enforcedBy.isEmpty
            table.add(
                [
                    rule.workload == 0 ? rule.policy : "\(rule.workloadName): \(rule.policy)", rule.category,
                    rule.action, rule.subject,
                    isEnforced ? rule.enforcedBy.joined(separator: ", ") : "NOT ENFORCED",
                ],
                colours: [nil, nil, nil, nil, isEnforced ? (rule.gaps.isEmpty ? .green : .yellow) : .red],
                notes: rule.gaps.map { (isEnforced ? "but: " : "because: ") + $0 }
                    + (isEnforced ? [] : ["at: " + rule.position]))
        }
        return table.lines(style)
    }

    private var counters: [String] {
        if status.counters.isEmpty { return [] }
        var table = TextTable(["NAME", "VALUE"])
        for (name, value) in status.counters.sorted(by: { $0.key < $1.key }) { table.add([name, "\(value)"]) }
        return table.lines(style)
    }

    private var failures: [String] {
        if status.failures.isEmpty { return [] }
        var table = TextTable(["NAME", "VERDICT", "COUNT"])
        for failure in status.failures.sorted(by: { $0.name < $1.name }) {
            table.add(
                [failure.name, failure.verdict, "\(failure.count)"],
                colours: [nil, nil, failure.count > 0 ? .red : nil])
        }
        return table.lines(style)
    }
}
