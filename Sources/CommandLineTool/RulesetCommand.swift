import ClientSupport
import ArgumentParser
import NetworkEnforcement
import PolicyEngine
import PolicyModel

/// `portcullis ruleset`
struct RulesetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ruleset",
        abstract: "Prints the packet filter that policies make on a host; needs neither agent nor privileges.",
        discussion: """
            As 'nft list table inet portcullis' prints it, but for lines that it breaks and for the numbers of generation and \
            rules in the log prefixes.
            """)

    @Option(
        help: ArgumentHelp("A policy file, or a folder of them; repeatable.", valueName: "path"), completion: .file())
    var policies: [String] = []

    @Option(
        help: ArgumentHelp(
            "Default posture of file, network or capabilities: allow, audit or block; repeatable.",
            valueName: "category=posture"))
    var posture: [PostureArgument] = []

    @Option(help: ArgumentHelp("The host's name; otherwise this machine's.", valueName: "name"))
    var host: String?

    @Option(help: ArgumentHelp("A further label of the host; repeatable.", valueName: "key=value"))
    var label: [FieldFilter] = []

    @OptionGroup var output: OutputOptions

    private struct Report: Encodable {
        var ruleset: String
        var rules: [Rule]

        struct Rule: Encodable {
            var number: UInt32
            var policy: String
            var subject: String
            var action: String
            var position: String
            var problem: String
        }
    }

    func validate() throws {
        if policies.isEmpty { throw ValidationError("Missing expected argument '--policies <path>'") }
    }

    func run() throws {
        let node = NodeLabels(
            host: host ?? HostName.own,
            further: Dictionary(label.map { ($0.field, $0.text) }, uniquingKeysWith: { $1 }))
        let selected = try PolicyCollection(at: policies).policies.filter(node.select)
        let postures = PostureArgument.postures(posture)
        let compiled: CompiledSnapshot
        do {
            compiled = try SnapshotCompiler().compile(policies: selected, postures: postures, generation: 1)
        } catch { throw ToolFailure(error.description) }
        var rules = compiled.rules
        let decisions: PacketDecisions
        do { decisions = try PacketDecisions(of: compiled.bytes, describing: &rules) } catch {
            throw ToolFailure("the compiled policies are damaged: \(error)")
        }
        let plan = RulesetPlanner.plan(
            selected.filter { $0.kind == .network }, decisions,
            RulesetPlanner.Settings(
                posture: postures.network, generation: 1, logGroup: RulesetPlanner.defaultLogGroup,
                firstRule: compiled.rules.count))
        let named = rules.filter(\.isOfPackets) + plan.rules
        for rule in named {
            guard let problem = rule.packet?.problem, !problem.isEmpty else { continue }
            StandardStreams.writeError("\(rule.position): not enforced: \(problem)")
        }
        guard output.json else { return try StandardStreams.write(plan.ruleset.text) }
        try StandardStreams.write(
            json: Report(
                ruleset: plan.ruleset.text,
                rules: named.map {
                    Report.Rule(
                        number: $0.id.rawValue, policy: $0.policyName, subject: $0.subject,
                        action: $0.attributes.action.name, position: $0.position.description,
                        problem: $0.packet?.problem ?? "")
                }))
    }
}
