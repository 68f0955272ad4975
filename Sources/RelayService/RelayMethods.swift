import RPCTransport

/// Who may call what of a relay.
enum RelayMethods {
    static let services = [
        "feeder.LogService", "portcullis.v1.Telemetry", "portcullis.v1.Control", "portcullis.v1.Relay",
    ]

    /// - Parameter mayChange: policies may be changed through the relay.
    static func table(mayChange: Bool) -> AuthorizationTable {
        let readers: Set<PeerRole> = [.local, .relay, .cli, .controller, .userGateway]
        let writers: Set<PeerRole> = mayChange ? [.local, .controller] : []
        return AuthorizationTable([
            "feeder.LogService/HealthCheck": readers,
            "feeder.LogService/WatchMessages": readers,
            "feeder.LogService/WatchAlerts": readers,
            "feeder.LogService/WatchLogs": readers,
            "portcullis.v1.Telemetry/Stream": readers,
            "portcullis.v1.Control/GetStatus": readers,
            "portcullis.v1.Control/GetPolicies": readers,
            "portcullis.v1.Control/ApplyPolicies": writers,
            "portcullis.v1.Control/DeletePolicy": writers,
            "portcullis.v1.Relay/ListAgents": readers,
            "portcullis.v1.Relay/QueryHistory": readers,
            "portcullis.v1.Relay/CountHistory": readers,
            "grpc.health.v1.Health/Check": readers,
            "grpc.health.v1.Health/Watch": readers,
        ])
    }
}
