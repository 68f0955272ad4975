@testable import CommandLineTool
import ControlProtocol
import Testing

@Suite struct StatusReportTests {
    static let status = AgentStatus(
        version: "1.2.3", host: "n1", generation: 4, processes: ["worker": 11, "guardian": 10, "front": 12],
        counters: ["events": 120, "denied": 3],
        failures: [FailureStatus(name: "queue_overflow", verdict: "deny", count: 1)],
        rules: [
            RuleCoverage(
                policy: "p1", category: "file", subject: "/etc/shadow", action: "Block", position: "p.yaml:3:5",
                enforcedBy: ["fanotify"], gaps: []),
            RuleCoverage(
                policy: "p1", category: "file", subject: "/srv/\u{1B}[2J", action: "Block", position: "p.yaml:4:5",
                enforcedBy: ["fanotify"], gaps: ["rename is not held"]),
            RuleCoverage(
                policy: "long-name", category: "dns", subject: "example.com", action: "Audit", position: "p.yaml:9:5",
                enforcedBy: [], gaps: ["no resolver is known"]),
        ],
        gaps: ["no cgroup2"])

    @Test func theReportIsAsWritten() {
        #expect(
            StatusReport(status: Self.status, style: .plain).lines.joined(separator: "\n") == #"""
                Agent:       portcullisd 1.2.3
                Host:        n1
                Generation:  4
                Processes:   front 12, guardian 10, worker 11

                Rules
                POLICY     CATEGORY  ACTION  SUBJECT       ENFORCED BY
                p1         file      Block   /etc/shadow   fanotify
                p1         file      Block   /srv/\x1b[2J  fanotify
                  but: rename is not held
                long-name  dns       Audit   example.com   NOT ENFORCED
                  because: no resolver is known
                  at: p.yaml:9:5

                Counters
                NAME    VALUE
                denied  3
                events  120

                Failures
                NAME            VERDICT  COUNT
                queue_overflow  deny     1

                Gaps
                - no cgroup2
                """#)
    }

    @Test func colourChangesNothingButEscapes() {
        let styled = StatusReport(status: Self.status, style: TextStyle(isEnabled: true)).lines.joined(separator: "\n")
        let plain = StatusReport(status: Self.status, style: .plain).lines.joined(separator: "\n")
        #expect(styled != plain)
        #expect(styled.replacing(/\u{1B}\[[0-9]+m/, with: "") == plain)
    }

    @Test func anAgentWithoutPoliciesSaysSo() {
        var status = Self.status
        (status.generation, status.rules, status.counters, status.failures, status.gaps) = (0, [], [:], [], [])
        let lines = StatusReport(status: status, style: .plain).lines
        #expect(lines[2] == "Generation:  none yet")
        #expect(lines.suffix(2) == ["Rules", "no rule is in force"])
    }
}
