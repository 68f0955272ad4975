import ControlJSON
import ControlProtocol
import FoundationEssentials
import GRPCCore
import WireProtocol

/// `portcullis.v1.Control` of an agent: what the command line tool asks, of this node alone.
struct AgentControl: Portcullis_V1_Control.SimpleServiceProtocol {
    let front: FrontLink
    /// The node's name, under which it answers.
    let agent: String

    func getStatus(
        request: Portcullis_V1_StatusRequest, response: RPCWriter<Portcullis_V1_NodeStatus>, context: ServerContext
    ) async throws {
        guard isAsked(request.agents) else { return }
        guard case .status(var status) = try await front.ask(.status) else { throw Self.otherAnswer }
        // A line of the control protocol has a limit, so rules come in pages.
        while status.rules.count % AgentStatus.rulePage == 0, !status.rules.isEmpty {
            guard case .rules(let rules, let generation) = try await front.ask(.rules(from: status.rules.count)) else {
                throw Self.otherAnswer
            }
            // In the middle of a change: what was read so far is of the rules before it.
            guard generation == status.generation, !rules.isEmpty else { break }
            status.rules += rules
        }
        let json = try ControlCoding.encode(status)
        try await response.write(
            .with {
                $0.agent = agent
                $0.status = Data(json.dropLast())
            })
    }

    func getPolicies(
        request: Portcullis_V1_PoliciesRequest, response: RPCWriter<Portcullis_V1_NodePolicies>, context: ServerContext
    ) async throws {
        guard isAsked(request.agents) else { return }
        guard case .policies(let policies) = try await front.ask(.policies) else { throw Self.otherAnswer }
        try await response.write(
            .with {
                $0.agent = agent
                $0.policies = policies.map { policy in
                    .with {
                        $0.kind = policy.kind
                        $0.namespace = policy.namespace
                        $0.name = policy.name
                        $0.action = policy.action
                        $0.rules = UInt32(clamping: policy.rules)
                        $0.origin = policy.origin
                        $0.selected = policy.selected
                    }
                }
            })
    }

    func applyPolicies(
        request: Portcullis_V1_ApplyRequest, response: RPCWriter<Portcullis_V1_NodeResult>, context: ServerContext
    ) async throws {
        guard isAsked(request.agents) else { return }
        let documents = request.documents.map { PolicyDocument(name: $0.name, text: $0.text) }
        try await change(.apply(documents: documents, dryRun: request.dryRun), response)
    }

    func deletePolicy(
        request: Portcullis_V1_DeleteRequest, response: RPCWriter<Portcullis_V1_NodeResult>, context: ServerContext
    ) async throws {
        guard isAsked(request.agents) else { return }
        try await change(
            .delete(kind: request.kind, namespace: request.namespace, name: request.name), response)
    }

    private func change(_ request: ControlRequest, _ response: RPCWriter<Portcullis_V1_NodeResult>) async throws {
        let (isDone, messages): (Bool, [String])
        switch try await front.ask(request) {
        case .done(let lines): (isDone, messages) = (true, lines)
        case .failed(let lines): (isDone, messages) = (false, lines)
        default: throw Self.otherAnswer
        }
        try await response.write(
            .with {
                $0.agent = agent
                $0.done = isDone
                $0.messages = messages
            })
    }

    /// Whoever names nodes means this one only if it is among them.
    private func isAsked(_ agents: [String]) -> Bool { agents.isEmpty || agents.contains(agent) }

    private static let otherAnswer = RPCError(code: .internalError, message: "an answer to another question")
}
