import ClientSupport
import ArgumentParser
import ControlProtocol

/// `portcullis get`
struct GetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Lists what the agent has.", subcommands: [GetPoliciesCommand.self])
}

/// `portcullis get policies [NAME]`
struct GetPoliciesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policies", abstract: "Lists the agent's policies.", aliases: ["policy"])

    @Argument(help: "Only policies of this name.")
    var name: String?

    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        guard case .policies(var policies) = try AgentConnection.ask(.policies, at: agent.socket) else {
            throw ToolFailure.unexpectedAnswer
        }
        if let name {
            policies = policies.filter { $0.name == name }
            if policies.isEmpty { throw ToolFailure("there is no policy named \(name)") }
        }
        if output.json { return try StandardStreams.write(json: policies) }
        var table = TextTable(["KIND", "NAMESPACE", "NAME", "ACTION", "RULES", "IN FORCE", "ORIGIN"])
        for policy in policies {
            table.add(
                [
                    policy.kind, policy.namespace.isEmpty ? "-" : policy.namespace, policy.name, policy.action,
                    "\(policy.rules)", policy.selected ? "yes" : "no", policy.origin,
                ], colours: [nil, nil, nil, nil, nil, policy.selected ? .green : .yellow])
        }
        try StandardStreams.write(table.lines(.standardOutput))
    }
}
