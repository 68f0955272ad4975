import SwiftProtobuf
import Telemetry
import WireProtocol

/// Records from the wire as the agent's own, so that all encodings of them are the agent's.
enum FeederRecords {
    /// An alert.
    static func alert(_ wire: Feeder_Alert) -> Alert {
        var alert = Alert()
        alert.wallClock = time(wire.timestamp, wire.updatedTime)
        (alert.clusterName, alert.hostName, alert.nodeID) = (wire.clusterName, wire.hostName, wire.nodeID)
        alert.workload = workload(wire)
        (alert.hostPPID, alert.hostPID, alert.ppid, alert.pid) = (wire.hostPpid, wire.hostPid, wire.ppid, wire.pid)
        alert.uid = UInt32(bitPattern: wire.uid)
        alert.userName = wire.userName
        let raw = wire.raw
        func bytes(_ name: String, _ text: String) -> [UInt8] { raw[name].map { Array($0) } ?? Array(text.utf8) }
        alert.parentProcessName = bytes("ParentProcessName", wire.parentProcessName)
        alert.processName = bytes("ProcessName", wire.processName)
        (alert.policyName, alert.severity, alert.tags) = (wire.policyName, wire.severity, wire.tags)
        (alert.atags, alert.message, alert.type) = (wire.atags, wire.message, wire.type)
        alert.source = bytes("Source", wire.source)
        alert.operation = wire.operation
        alert.resource = bytes("Resource", wire.resource)
        alert.data = wire.data
        alert.eventData = wire.eventData.map { EventDatum(key: $0.key, value: $0.value) }.sorted { $0.key < $1.key }
        (alert.enforcer, alert.action, alert.result) = (wire.enforcer, wire.action, wire.result)
        alert.cwd = bytes("Cwd", wire.cwd)
        alert.tty = bytes("TTY", wire.tty)
        (alert.maxAlertsPerSec, alert.droppingAlertsInterval) = (wire.maxAlertsPerSec, wire.droppingAlertsInterval)
        alert.execID = wire.execEvent.execID
        alert.executableName = bytes("ExecutableName", wire.execEvent.executableName)
        alert.version = wire.kubeArmorVersion
        alert.resourceAlias = bytes("ResourceAlias", wire.resourceAlias)
        (alert.isPathUntrusted, alert.isMatchedByObject) = (wire.pathUntrusted, wire.matchedByObject)
        (alert.isTruncated, alert.suppressed, alert.lost) = (wire.truncated, wire.suppressed, wire.lost)
        alert.policyGeneration = wire.policyGeneration
        return alert
    }

    /// A log.
    static func log(_ wire: Feeder_Log) -> Alert {
        var log = Alert()
        log.kind = .log
        log.wallClock = time(wire.timestamp, wire.updatedTime)
        (log.clusterName, log.hostName, log.nodeID) = (wire.clusterName, wire.hostName, wire.nodeID)
        log.workload = workload(wire)
        (log.hostPPID, log.hostPID, log.ppid, log.pid) = (wire.hostPpid, wire.hostPid, wire.ppid, wire.pid)
        log.uid = UInt32(bitPattern: wire.uid)
        log.userName = wire.userName
        let raw = wire.raw
        func bytes(_ name: String, _ text: String) -> [UInt8] { raw[name].map { Array($0) } ?? Array(text.utf8) }
        log.parentProcessName = bytes("ParentProcessName", wire.parentProcessName)
        log.processName = bytes("ProcessName", wire.processName)
        log.type = wire.type
        log.source = bytes("Source", wire.source)
        log.operation = wire.operation
        log.resource = bytes("Resource", wire.resource)
        log.data = wire.data
        log.eventData = wire.eventData.map { EventDatum(key: $0.key, value: $0.value) }.sorted { $0.key < $1.key }
        log.result = wire.result
        log.cwd = bytes("Cwd", wire.cwd)
        log.tty = bytes("TTY", wire.tty)
        log.execID = wire.execEvent.execID
        log.executableName = bytes("ExecutableName", wire.execEvent.executableName)
        (log.isPathUntrusted, log.isTruncated, log.lost) = (wire.pathUntrusted, wire.truncated, wire.lost)
        return log
    }

    private static func workload(_ wire: Feeder_Alert) -> AlertWorkload? {
        guard !wire.containerID.isEmpty || !wire.containerName.isEmpty || !wire.podName.isEmpty else { return nil }
        return AlertWorkload(
            namespaceName: wire.namespaceName, owner: wire.hasOwner ? owner(wire.owner) : nil, podName: wire.podName,
            labels: wire.labels, containerID: wire.containerID, containerName: wire.containerName,
            containerImage: wire.containerImage, throttleKey: .host)
    }

    private static func workload(_ wire: Feeder_Log) -> AlertWorkload? {
        guard !wire.containerID.isEmpty || !wire.containerName.isEmpty || !wire.podName.isEmpty else { return nil }
        return AlertWorkload(
            namespaceName: wire.namespaceName, owner: wire.hasOwner ? owner(wire.owner) : nil, podName: wire.podName,
            labels: wire.labels, containerID: wire.containerID, containerName: wire.containerName,
            containerImage: wire.containerImage, throttleKey: .host)
    }

    private static func owner(_ wire: Feeder_Podowner) -> AlertWorkload.Owner {
        AlertWorkload.Owner(ref: wire.ref, name: wire.name, namespace: wire.namespace)
    }

    /// Seconds, and the fraction that only the text has.
    private static func time(_ seconds: Int64, _ text: String) -> UInt64 {
        var fraction: UInt64 = 0
        if let point = text.lastIndex(of: ".") {
            let digits = text[text.index(after: point)...].prefix { $0.isNumber }.prefix(9)
            fraction = UInt64(digits) ?? 0
            for _ in digits.count..<9 { fraction *= 10 }
        }
        return UInt64(max(0, seconds)) &* 1_000_000_000 &+ fraction
    }
}
