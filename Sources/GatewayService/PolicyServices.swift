import ControlProtocol
import FoundationEssentials
import GRPCCore
import SwiftProtobuf
import WireProtocol

/// `policy.PolicyService`: KubeArmor's way to add and remove policies. The gateway reads nothing of them.
struct PolicyService: Policy_PolicyService.SimpleServiceProtocol {
    let front: FrontLink

    func containerPolicy(request: Policy_policy, context: ServerContext) async throws -> Policy_response {
        try await take(request, "KubeArmorPolicy")
    }

    func hostPolicy(request: Policy_policy, context: ServerContext) async throws -> Policy_response {
        try await take(request, "KubeArmorHostPolicy")
    }

    func networkPolicy(request: Policy_policy, context: ServerContext) async throws -> Policy_response {
        try await take(request, "KubeArmorNetworkPolicy")
    }

    private func take(_ request: Policy_policy, _ kind: String) async throws -> Policy_response {
        guard let event = String(validating: request.policy, as: UTF8.self) else {
            return .with { $0.status = .invalid }
        }
        guard case .policyEvent(let status) = try await front.ask(.policyEvent(kind: kind, event: event)) else {
            throw RPCError(code: .internalError, message: "an answer to another question")
        }
        return .with { $0.status = Self.status(status) }
    }

    private static func status(_ status: PolicyEventStatus) -> Policy_PolicyStatus {
        switch status {
        case .failure: .failure
        case .applied: .applied
        case .deleted: .deleted
        case .modified: .modified
        case .notExist: .notExist
        case .invalid: .invalid
        case .notEnabled: .notEnabled
        }
    }
}

/// `policy.ProbeService`: which workloads have which policies. Like KubeArmor's it never fills `networkMap`.
struct ProbeService: Policy_ProbeService.SimpleServiceProtocol {
    let front: FrontLink

    func getProbeData(
        request: Google_Protobuf_Empty, context: ServerContext
    ) async throws -> Policy_ProbeResponse {
        guard case .probe(let workloads) = try await front.ask(.probe) else {
            throw RPCError(code: .internalError, message: "an answer to another question")
        }
        var response = Policy_ProbeResponse()
        for workload in workloads {
            let names = workload.policies.map(\.name)
            let texts = workload.policies.map { policy in
                Policy_policy.with { $0.policy = Data(policy.text.utf8) }
            }
            if workload.isHost {
                response.hostMap[workload.name] = .with { ($0.policyList, $0.policyDataList) = (names, texts) }
            } else {
                response.containerList.append(workload.name)
                response.containerMap[workload.name] = .with {
                    ($0.policyList, $0.policyDataList) = (names, texts)
                    $0.policyEnabled = names.isEmpty ? 0 : 1
                }
            }
        }
        return response
    }
}
