import ClientSupport
import ArgumentParser
import LinuxKernel
import NetworkEnforcement

/// `portcullis probe`
struct ProbeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "probe",
        abstract: "Tries what this kernel and this user's privileges offer; needs no agent and changes nothing.")

    @OptionGroup var output: OutputOptions

    private struct Finding: Encodable {
        var name: String
        var available: Bool
        var detail: String
    }

    /// What the findings come to: where rules can hold on this machine for whoever asks, and why not elsewhere.
    private static func modes(_ findings: [Finding]) -> [Finding] {
        func missing(_ names: String...) -> Finding? {
            names.lazy.compactMap { name in findings.first { $0.name == name && !$0.available } }.first
        }
        func because(_ finding: Finding) -> String {
            " (\(finding.name)" + (finding.detail.isEmpty ? "" : ": \(finding.detail)") + ")"
        }
        let events = missing("fanotify.open-permission", "fanotify.open-exec-permission", "capability.sys_admin")
        let calls = missing("seccomp.user-notification", "seccomp.add-descriptor", "pidfd.getfd")
        let packets = missing("nftables.tables", "nftables.ct")
        return [
            Finding(
                name: "rules.every-process", available: events == nil,
                detail: events.map {
                    "weaker: files and programs in supervised trees and containers with our profile only, every open of which is performed"
                        + because($0)
                } ?? "files and programs, for every process and container"),
            Finding(
                name: "rules.supervised", available: calls == nil,
                detail: calls.map { "no supervised trees, no containers with our profile" + because($0) }
                    ?? "all rules in supervised trees and containers with our profile"),
            Finding(
                name: "rules.packets", available: packets == nil,
                detail: packets.map { "weaker: network policies do not hold on the host's own network" + because($0) }
                    ?? "network policies"),
        ]
    }

    func run() throws {
        var findings = FeatureProbe.run().results.map {
            Finding(
                name: $0.name, available: $0.available,
                detail: $0.detail.split(whereSeparator: \.isNewline).joined(separator: " "))
        }
        let features = NetworkFeatures.probe()
        findings += NetworkFeatures.names.map {
            Finding(name: "nftables." + $0.name, available: features.contains($0.feature), detail: "")
        }
        findings = Self.modes(findings) + findings
        if output.json { return try StandardStreams.write(json: findings) }
        let style = TextStyle.standardOutput
        var table = TextTable(["FEATURE", "USABLE", "DETAIL"])
        for finding in findings {
            table.add(
                [finding.name, finding.available ? "yes" : "no", finding.detail],
                colours: [nil, finding.available ? .green : .yellow, nil])
        }
        try StandardStreams.write(table.lines(style))
    }
}
