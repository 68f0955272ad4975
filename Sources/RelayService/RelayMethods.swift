import RPCTransport

/// Who may call what of a relay.
enum RelayMethods {
    static func services(takesPushes: Bool) -> [String] {
        ["feeder.LogService", "portcullis.v1.Telemetry", "portcullis.v1.Control", "portcullis.v1.Relay"]
            + (takesPushes ? [PushService.name] : [])
    }

    /// - Parameters:
    ///   - mayChange: policies may be changed through the relay.
    ///   - takesPushes: agents may push. They may do nothing else.
    static func table(mayChange: Bool, takesPushes: Bool) -> AuthorizationTable {
        let readers: Set<PeerRole> = [.local, .relay, .cli, .controller, .userGateway]
        let writers: Set<PeerRole> = mayChange ? [.local, .controller] : []
        let pushers: Set<PeerRole> = takesPushes ? [.agent] : []
        return AuthorizationTable([
            "feeder.LogService/HealthCheck": readers,
            "feeder.LogService/WatchMessages": readers,
            "feeder.LogService/WatchAlerts": readers,
            "feeder.LogService/WatchLogs": readers,
            "feeder.PushLogService/HealthCheck": pushers,
            "feeder.PushLogService/PushMessages": pushers,
            "feeder.PushLogService/PushAlerts": pushers,
            "feeder.PushLogService/PushLogs": pushers,
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
