import GatewayProtocol
import RPCTransport

/// Who may call what of an agent.
enum AgentMethods {
    /// The services that the health service tells of: KubeArmor's names, and ours.
    static let services = [
        "feeder.LogService", "policy.PolicyService", "policy.ProbeService", "portcullis.v1.Telemetry",
        "portcullis.v1.Control",
    ]

    static func table(_ settings: GatewaySettings) -> AuthorizationTable {
        let readers: Set<PeerRole> = [.local, .relay, .cli, .controller]
        let everybody: Set<PeerRole> = readers.union([.fleet])
        let writers: Set<PeerRole> = settings.relayMayChange ? [.local, .controller, .relay] : [.local, .controller]
        return AuthorizationTable([
            "feeder.LogService/HealthCheck": readers,
            "feeder.LogService/WatchMessages": readers,
            "feeder.LogService/WatchAlerts": readers,
            "feeder.LogService/WatchLogs": readers,
            "portcullis.v1.Telemetry/Stream": readers,
            "policy.PolicyService/containerPolicy": writers,
            "policy.PolicyService/hostPolicy": writers,
            "policy.PolicyService/networkPolicy": writers,
            "policy.ProbeService/getProbeData": readers,
            "portcullis.v1.Control/GetStatus": readers,
            "portcullis.v1.Control/GetPolicies": readers,
            "portcullis.v1.Control/ApplyPolicies": writers,
            "portcullis.v1.Control/DeletePolicy": writers,
            "grpc.health.v1.Health/Check": everybody,
            "grpc.health.v1.Health/Watch": everybody,
        ])
    }
}
