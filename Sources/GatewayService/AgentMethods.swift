import GatewayProtocol
import RPCTransport

/// Who may call what of an agent.
enum AgentMethods {
    static func table(_ settings: GatewaySettings) -> AuthorizationTable {
        let readers: Set<PeerRole> = [.local, .relay, .cli, .controller]
        let everybody: Set<PeerRole> = readers.union([.fleet])
        return AuthorizationTable([
            "feeder.LogService/HealthCheck": readers,
            "feeder.LogService/WatchMessages": readers,
            "feeder.LogService/WatchAlerts": readers,
            "feeder.LogService/WatchLogs": readers,
            "portcullis.v1.Telemetry/Stream": readers,
            "grpc.health.v1.Health/Check": everybody,
            "grpc.health.v1.Health/Watch": everybody,
        ])
    }
}
