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
    @OptionGroup var remote: RemoteOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        if let place = try remote.place { return try show(try RemoteControl.policies(remote, place)) }
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

    private func show(_ all: [RemoteControl.NodePolicy]) throws {
        let policies = name.map { name in all.filter { $0.policy.name == name } } ?? all
        if let name, policies.isEmpty { throw ToolFailure("there is no policy named \(name)") }
        if output.json { return try StandardStreams.write(json: policies) }
        var table = TextTable(["AGENT", "KIND", "NAMESPACE", "NAME", "ACTION", "RULES", "IN FORCE", "ORIGIN"])
        for entry in policies {
            let policy = entry.policy
            table.add(
                [
                    entry.agent, policy.kind, policy.namespace.isEmpty ? "-" : policy.namespace, policy.name,
                    policy.action,
                    "\(policy.rules)", policy.selected ? "yes" : "no", policy.origin,
                ], colours: [nil, nil, nil, nil, nil, nil, policy.selected ? .green : .yellow])
        }
        try StandardStreams.write(table.lines(.standardOutput))
    }
}
