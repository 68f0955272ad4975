import ArgumentParser
import ClientSupport
import PolicyLoading
import Telemetry

/// `portcullis recommend`
struct RecommendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recommend",
        abstract: "Turns what workloads were seen to do into policies that permit that and no more.",
        discussion: """
            Writes a policy for each container that was seen, and one for the host's programs: for 'portcullis run --policies' or, \
            with --host, for the node. They are allow-lists: what they do not name is denied where the default posture is block \
            (--file-posture, --network-posture), otherwise reported. Look at them before you use them: what did not happen while \
            you looked is missing.
            """)

    @OptionGroup var observation: ObservationOptions
    @OptionGroup var remote: RemoteOptions
    @Option(help: ArgumentHelp("Name of the policy; with several it begins so.", valueName: "name"))
    var name = "recommended"
    @Flag(help: "Of the host's programs: a policy for the node.")
    var host = false

    func run() throws {
        let behaviour = try observation.watch(
            remote, try remote.requiredPlace, seconds: observation.seconds ?? 10)
        if behaviour.missed > 0 {
            StandardStreams.writeError("\(behaviour.missed) records were missed: what they told of is not permitted")
        }
        let workloads = behaviour.workloads.keys.sorted()
        guard !workloads.isEmpty else {
            throw ToolFailure("nothing was seen: portcullisd --host-visibility and --visibility say what is told of")
        }
        var texts: [String] = []
        for (index, workload) in workloads.enumerated() {
            let text = Recommendation(
                behaviour, workload, name: workloads.count == 1 ? name : "\(name)-\(index + 1)", isForNode: host
            ).text
            let result = PolicyDocumentLoader().load(bytes: Array(text.utf8), file: "recommendation")
            let problems = result.diagnostics.filter { $0.severity == .error }.map(\.description)
            guard problems.isEmpty else { throw ToolFailure(problems) }
            texts.append(text)
        }
        try StandardStreams.write(texts.joined(separator: "---\n"))
    }
}
