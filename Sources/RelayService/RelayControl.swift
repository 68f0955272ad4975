import GRPCCore
import GRPCNIOTransportHTTP2Posix
import WireProtocol

/// `portcullis.v1.Control` of a relay: passes questions on to the agents that are connected, all at once, and answers as they do.
///
/// It asks in its own name. Whether a relay may change policies is for each agent to say.
struct RelayControl: Portcullis_V1_Control.SimpleServiceProtocol {
    let pool: AgentPool
    let book: AgentBook
    /// How long an agent may take.
    private static let patience = Duration.seconds(30)

    func getStatus(
        request: Portcullis_V1_StatusRequest, response: RPCWriter<Portcullis_V1_NodeStatus>, context: ServerContext
    ) async throws {
        await statuses(request.agents) { try? await response.write($0) }
    }

    /// The status of every agent of these names, or of all.
    func statuses(_ names: [String], _ deliver: (Portcullis_V1_NodeStatus) async -> Void) async {
        await each(names, deliver) { client, options in
            try await client.getStatus(.init(), options: options) {
                try await $0.messages.reduce(into: []) { $0.append($1) }
            }
        } problem: { name, problem in
            .with { ($0.agent, $0.problem) = (name, problem) }
        }
    }

    func getPolicies(
        request: Portcullis_V1_PoliciesRequest, response: RPCWriter<Portcullis_V1_NodePolicies>, context: ServerContext
    ) async throws {
        await policies(request.agents) { try? await response.write($0) }
    }

    /// The policies of every agent of these names, or of all.
    func policies(_ names: [String], _ deliver: (Portcullis_V1_NodePolicies) async -> Void) async {
        await each(names, deliver) { client, options in
            try await client.getPolicies(.init(), options: options) {
                try await $0.messages.reduce(into: []) { $0.append($1) }
            }
        } problem: { name, problem in
            .with { ($0.agent, $0.problem) = (name, problem) }
        }
    }

    func applyPolicies(
        request: Portcullis_V1_ApplyRequest, response: RPCWriter<Portcullis_V1_NodeResult>, context: ServerContext
    ) async throws {
        var passed = request
        passed.agents = []
        await each(request.agents, { try? await response.write($0) }) { [passed] client, options in
            try await client.applyPolicies(passed, options: options) {
                try await $0.messages.reduce(into: []) { $0.append($1) }
            }
        } problem: { name, problem in
            .with { ($0.agent, $0.messages) = (name, [problem]) }
        }
    }

    func deletePolicy(
        request: Portcullis_V1_DeleteRequest, response: RPCWriter<Portcullis_V1_NodeResult>, context: ServerContext
    ) async throws {
        var passed = request
        passed.agents = []
        await each(request.agents, { try? await response.write($0) }) { [passed] client, options in
            try await client.deletePolicy(passed, options: options) {
                try await $0.messages.reduce(into: []) { $0.append($1) }
            }
        } problem: { name, problem in
            .with { ($0.agent, $0.messages) = (name, [problem]) }
        }
    }

    private typealias AgentClient = Portcullis_V1_Control.Client<HTTP2ClientTransport.Posix>

    /// Asks every agent of these names, or all, and delivers what each answers; one that does not is told of, too.
    private func each<Answer: Sendable>(
        _ names: [String], _ deliver: (Answer) async -> Void,
        _ ask: @escaping @Sendable (AgentClient, CallOptions) async throws -> [Answer],
        problem: @escaping @Sendable (String, String) -> Answer
    ) async {
        let found = book.endpoints(names)
        for name in names where !found.contains(where: { $0.name == name }) {
            await deliver(problem(name, "not connected"))
        }
        await withTaskGroup(of: (String, Result<[Answer], any Error>).self) { group in
            for (name, endpoint) in found {
                guard let client = pool.client(endpoint) else {
                    let reason = endpoint.isPushing ? "it pushes its records, and cannot be asked" : "not connected"
                    group.addTask { (name, .failure(RPCError(code: .unavailable, message: reason))) }
                    continue
                }
                group.addTask {
                    var options = CallOptions.defaults
                    options.timeout = Self.patience
                    do { return (name, .success(try await ask(AgentClient(wrapping: client), options))) } catch {
                        return (name, .failure(error))
                    }
                }
            }
            for await (name, result) in group {
                switch result {
                case .success(let answers):
                    for answer in answers { await deliver(Self.named(answer, name)) }
                case .failure(let error):
                    let reason = (error as? RPCError).map { "\($0.code): \($0.message)" } ?? "\(error)"
                    await deliver(problem(name, reason))
                }
            }
        }
    }

    /// An agent's answer under the name in its certificate, whatever it calls itself.
    private static func named<Answer>(_ answer: Answer, _ name: String) -> Answer {
        switch answer {
        case var status as Portcullis_V1_NodeStatus:
            status.agent = name
            return status as? Answer ?? answer
        case var policies as Portcullis_V1_NodePolicies:
            policies.agent = name
            return policies as? Answer ?? answer
        case var result as Portcullis_V1_NodeResult:
            result.agent = name
            return result as? Answer ?? answer
        default: return answer
        }
    }
}
