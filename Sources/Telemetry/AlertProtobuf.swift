import EventSpool

/// Records as `feeder.Alert` and `feeder.Log` (`Protos/feeder.proto`), for the spool. Field numbers differ between the two
/// from 13 on.
enum AlertProtobuf {
    /// Appends the kind as one byte, then the message.
    static func encode(_ alert: Alert, into line: inout [UInt8]) {
        line.append(alert.kind.rawValue)
        var taken: [UInt8] = []
        swap(&taken, &line)
        var out = ProtobufWriter(appendingTo: taken)
        taken = []
        var raw: [(StaticString, [UInt8])] = []
        head(alert, &out)
        if alert.kind == .log { log(alert, &out, &raw) } else { self.alert(alert, &out, &raw) }
        ours(alert, raw, &out)
        line = out.bytes
    }

    /// Fields 1 to 12, which both have.
    private static func head(_ alert: Alert, _ out: inout ProtobufWriter) {
        out.signed(1, Int64(alert.wallClock / 1_000_000_000))
        var time: [UInt8] = []
        UTCTime(wallClock: alert.wallClock).append(to: &time, separator: UInt8(ascii: "T"))
        out.data(2, time + [UInt8(ascii: "Z")])
        out.string(3, alert.clusterName)
        out.string(4, alert.hostName)
        if let workload = alert.workload {
            out.string(5, workload.namespaceName)
            out.string(6, workload.podName)
            out.string(7, workload.containerID)
            out.string(8, workload.containerName)
        }
        out.signed(9, alert.hostPID)
        out.signed(10, alert.ppid)
        out.signed(11, alert.pid)
        out.signed(12, Int32(bitPattern: alert.uid))
    }

    private static func alert(
        _ alert: Alert, _ out: inout ProtobufWriter, _ raw: inout [(StaticString, [UInt8])]
    ) {
        out.string(13, alert.policyName)
        out.string(14, alert.severity)
        out.string(15, alert.tags)
        out.string(16, alert.message)
        out.string(17, alert.type)
        text(18, "Source", alert.source, &out, &raw)
        out.string(19, alert.operation)
        text(20, "Resource", alert.resource, &out, &raw)
        out.string(21, alert.data)
        out.string(22, alert.action)
        out.string(23, alert.result)
        out.string(24, alert.workload?.containerImage ?? "")
        text(25, "ParentProcessName", alert.parentProcessName, &out, &raw)
        text(26, "ProcessName", alert.processName, &out, &raw)
        out.signed(27, alert.hostPPID)
        out.string(28, alert.enforcer)
        out.string(29, alert.workload?.labels ?? "")
        for tag in alert.atags { out.string(30, tag) }
        owner(31, alert, &out)
        text(32, "Cwd", alert.cwd, &out, &raw)
        text(33, "TTY", alert.tty, &out, &raw)
        out.signed(34, alert.maxAlertsPerSec)
        out.signed(35, alert.droppingAlertsInterval)
        execEvent(36, alert, &out, &raw)
        out.string(37, alert.version)
        out.string(38, alert.nodeID)
        map(43, alert.eventData, &out)
        out.string(44, alert.userName)
    }

    private static func log(_ log: Alert, _ out: inout ProtobufWriter, _ raw: inout [(StaticString, [UInt8])]) {
        out.string(13, log.type)
        text(14, "Source", log.source, &out, &raw)
        out.string(15, log.operation)
        text(16, "Resource", log.resource, &out, &raw)
        out.string(17, log.data)
        out.string(18, log.result)
        out.string(19, log.workload?.containerImage ?? "")
        text(20, "ParentProcessName", log.parentProcessName, &out, &raw)
        text(21, "ProcessName", log.processName, &out, &raw)
        out.signed(22, log.hostPPID)
        out.string(23, log.workload?.labels ?? "")
        owner(24, log, &out)
        text(25, "Cwd", log.cwd, &out, &raw)
        text(26, "TTY", log.tty, &out, &raw)
        execEvent(27, log, &out, &raw)
        out.string(28, log.nodeID)
        map(33, log.eventData, &out)
        out.string(34, log.userName)
    }

    private static func ours(_ alert: Alert, _ raw: [(StaticString, [UInt8])], _ out: inout ProtobufWriter) {
        var raw = raw
        out.unsigned(1004, alert.lost)
        if alert.kind == .alert {
            out.unsigned(1005, alert.suppressed)
            out.unsigned(1006, alert.policyGeneration)
            text(1007, "ResourceAlias", alert.resourceAlias, &out, &raw)
            out.flag(1009, alert.isMatchedByObject)
        }
        out.flag(1008, alert.isPathUntrusted)
        out.flag(1010, alert.isTruncated)
        for (name, value) in raw {
            out.message(1011) {
                $0.string(1, name.description)
                $0.data(2, value)
            }
        }
    }

    private static func text(
        _ field: UInt32, _ name: StaticString, _ value: [UInt8], _ out: inout ProtobufWriter,
        _ raw: inout [(StaticString, [UInt8])]
    ) {
        if out.text(field, value) { raw.append((name, value)) }
    }

    private static func owner(_ field: UInt32, _ alert: Alert, _ out: inout ProtobufWriter) {
        guard let owner = alert.workload?.owner else { return }
        out.message(field) {
            $0.string(1, owner.ref)
            $0.string(2, owner.name)
            $0.string(3, owner.namespace)
        }
    }

    private static func execEvent(
        _ field: UInt32, _ alert: Alert, _ out: inout ProtobufWriter, _ raw: inout [(StaticString, [UInt8])]
    ) {
        out.message(field) {
            $0.string(1, alert.execID)
            text(2, "ExecutableName", alert.executableName, &$0, &raw)
        }
    }

    private static func map(_ field: UInt32, _ entries: [EventDatum], _ out: inout ProtobufWriter) {
        for entry in entries {
            out.message(field) {
                $0.string(1, entry.key)
                $0.string(2, entry.value)
            }
        }
    }
}
