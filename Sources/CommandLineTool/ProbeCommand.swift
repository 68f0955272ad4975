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
