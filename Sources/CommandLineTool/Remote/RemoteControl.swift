import ClientSupport
import ControlJSON
import ControlProtocol
import GRPCCore
import WireProtocol

/// What is in force at agents, and changes to it, over gRPC.
enum RemoteControl {
    /// A policy, and whose it is.
    struct NodePolicy: Encodable {
        var agent: String
        var policy: PolicySummary

        func encode(to encoder: any Encoder) throws {
            try policy.encode(to: encoder)
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(agent, forKey: .agent)
        }

        private enum Key: CodingKey { case agent }
    }

    /// The policies of all agents that are asked; those that do not answer are told of.
    static func policies(_ remote: RemoteOptions, _ place: ServerPlace) throws -> [NodePolicy] {
        let request = Portcullis_V1_PoliciesRequest.with { $0.agents = remote.agentName }
        let nodes = try remote.withSession(place) { client in
            try await Portcullis_V1_Control.Client(wrapping: client).getPolicies(
                request, options: RemoteSession.question()
            ) {
                try await $0.messages.reduce(into: []) { $0.append($1) }
            }
        }
        for node in nodes where !node.problem.isEmpty { StandardStreams.writeError("\(node.agent): \(node.problem)") }
        return nodes.flatMap { node in
            node.policies.map { policy in
                NodePolicy(
                    agent: node.agent,
                    policy: PolicySummary(
                        kind: policy.kind, namespace: policy.namespace, name: policy.name, action: policy.action,
                        rules: Int(policy.rules), origin: policy.origin, selected: policy.selected))
            }
        }
    }

    /// The status of all agents that are asked.
    static func status(_ remote: RemoteOptions, _ place: ServerPlace) throws -> [(agent: String, status: AgentStatus)] {
        let request = Portcullis_V1_StatusRequest.with { $0.agents = remote.agentName }
        let nodes = try remote.withSession(place) { client in
            try await Portcullis_V1_Control.Client(wrapping: client).getStatus(
                request, options: RemoteSession.question()
            ) {
                try await $0.messages.reduce(into: []) { $0.append($1) }
            }
        }
        return try nodes.compactMap { node in
            guard node.problem.isEmpty else {
                StandardStreams.writeError("\(node.agent): \(node.problem)")
                return nil
            }
            guard let status = try? ControlCoding.decode(AgentStatus.self, Array(node.status)) else {
                throw ToolFailure.unexpectedAnswer
            }
            return (node.agent, status)
        }
    }

    /// Applies or deletes, everywhere that is asked.
    static func change(_ request: ControlRequest, _ remote: RemoteOptions, _ place: ServerPlace) throws -> ChangeReport
    {
        let agents = remote.agentName
        let results = try remote.withSession(place) { client -> [Portcullis_V1_NodeResult] in
            let control = Portcullis_V1_Control.Client(wrapping: client)
            switch request {
            case .apply(let documents, let dryRun):
                let message = Portcullis_V1_ApplyRequest.with {
                    $0.agents = agents
                    $0.documents = documents.map { document in
                        .with { ($0.name, $0.text) = (document.name, document.text) }
                    }
                    $0.dryRun = dryRun
                }
                return try await control.applyPolicies(message, options: RemoteSession.question(seconds: 60)) {
                    try await $0.messages.reduce(into: []) { $0.append($1) }
                }
            case .delete(let kind, let namespace, let name):
                let message = Portcullis_V1_DeleteRequest.with {
                    ($0.agents, $0.kind, $0.namespace, $0.name) = (agents, kind, namespace, name)
                }
                return try await control.deletePolicy(message, options: RemoteSession.question(seconds: 60)) {
                    try await $0.messages.reduce(into: []) { $0.append($1) }
                }
            default: throw ToolFailure.unexpectedAnswer
            }
        }
        var (report, problems) = (ChangeReport(messages: []), [String]())
        for result in results {
            let lines = result.messages.map { "\(result.agent): \($0)" }
            if result.done { report.messages += lines } else { problems += lines }
        }
        if results.isEmpty { problems.append("no agent was asked") }
        if !problems.isEmpty {
            for line in report.messages { StandardStreams.writeError(line) }
            throw ToolFailure(problems)
        }
        return report
    }
}
