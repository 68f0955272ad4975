import GRPCCore
import ProtobufCoding
import Synchronization
import WireProtocol

/// `grpc.health.v1.Health`.
package final class HealthService: Grpc_Health_V1_Health.SimpleServiceProtocol {
    private let serving: Mutex<[String: Bool]>
    private let wake = WakeBroadcast()

    /// - Parameter services: full names of the services that are there; all of them serve.
    package init(services: [String]) {
        serving = Mutex(Dictionary(uniqueKeysWithValues: (services + [""]).map { ($0, true) }))
    }

    /// Says that a service serves, or does not for now.
    package func set(_ service: String, serving isServing: Bool) {
        serving.withLock { $0[service] = isServing }
        wake.signal()
    }

    private func status(_ service: String) -> Grpc_Health_V1_HealthCheckResponse.ServingStatus? {
        serving.withLock { $0[service] }.map { $0 ? .serving : .notServing }
    }

    package func check(
        request: Grpc_Health_V1_HealthCheckRequest, context: ServerContext
    ) async throws -> Grpc_Health_V1_HealthCheckResponse {
        guard let status = status(request.service) else {
            throw RPCError(code: .notFound, message: "no such service")
        }
        return .with { $0.status = status }
    }

    package func watch(
        request: Grpc_Health_V1_HealthCheckRequest, response: RPCWriter<Grpc_Health_V1_HealthCheckResponse>,
        context: ServerContext
    ) async throws {
        var last: Grpc_Health_V1_HealthCheckResponse.ServingStatus?
        try await withRPCCancellationHandler {
            while !context.cancellation.isCancelled, !Task.isCancelled {
                let generation = wake.generation
                let status = status(request.service) ?? .serviceUnknown
                if status != last { try await response.write(.with { $0.status = status }) }
                last = status
                await wake.wait(after: generation)
            }
        } onCancelRPC: { [wake] in
            wake.signal()
        }
    }
}
