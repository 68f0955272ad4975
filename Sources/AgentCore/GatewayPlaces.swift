import GatewayProtocol
import Workloads

extension AgentSettings {
    /// Where records are kept for gRPC clients.
    package var spoolDirectory: String { stateDirectory + "/spool" }

    /// What the gateway keeps.
    var gatewayStateDirectory: String { stateDirectory + "/gateway" }

    /// The gateway's unix socket.
    package var effectiveGatewaySocketPath: String {
        gatewaySocketPath.isEmpty ? runDirectory + "/grpc.sock" : gatewaySocketPath
    }

    /// What the gateway is told.
    var forGateway: GatewaySettings {
        var settings = GatewaySettings()
        settings.host = HostWorkload(configured: host).name
        settings.cluster = cluster
        settings.users = [isRootless ? frontUser : 0] + gatewayUsers
        settings.isRootless = isRootless
        settings.secureListeners = secureListeners.count
        settings.relayMayChange = relayMayChange
        return settings
    }
}
