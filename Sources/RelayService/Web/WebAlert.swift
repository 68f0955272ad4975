import ClientSupport
import SwiftProtobuf
import WireProtocol

/// An alert as the page shows it. Every text is only ever shown as text; characters that would reorder or hide it are made visible.
struct WebAlert: Encodable, Sendable {
    let time, agent, host, namespace, workload, policy, severity, message, operation, resource, process, action, result,
        source, data: String
    let pid, uid: Int32

    init(_ alert: Feeder_Alert) {
        func safe(_ text: String) -> String { SafeText.line(String(text.prefix(2000))) }
        time = safe(alert.updatedTime)
        (agent, host, namespace) = (safe(alert.agent), safe(alert.hostName), safe(alert.namespaceName))
        workload = safe(alert.containerName.isEmpty ? alert.podName : alert.containerName)
        (policy, severity, message) = (safe(alert.policyName), safe(alert.severity), safe(alert.message))
        (operation, resource, process) = (safe(alert.operation), safe(alert.resource), safe(alert.processName))
        (action, result, source, data) = (safe(alert.action), safe(alert.result), safe(alert.source), safe(alert.data))
        (pid, uid) = (alert.hostPid, alert.uid)
    }
}
