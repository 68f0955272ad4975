/// Turns records into lines of one encoding. A JSON line holds no newline, no control character and only valid UTF-8,
/// whatever the record holds.
public struct AlertEncoder: Sendable {
    /// What is written.
    public let encoding: AlertEncoding

    /// Creates an encoder.
    public init(_ encoding: AlertEncoding = .camelCase) {
        self.encoding = encoding
    }

    /// The record as one line without its final newline. The text form has several lines.
    public func encode(_ alert: Alert) -> [UInt8] {
        var line: [UInt8] = []
        line.reserveCapacity(1536)
        encode(alert, into: &line)
        return line
    }

    /// Appends what `encode(_:)` returns.
    public func encode(_ alert: Alert, into line: inout [UInt8]) {
        switch encoding {
        case .text: TextFormatter.format(alert, into: &line)
        case .spool: AlertProtobuf.encode(alert, into: &line)
        case .camelCase, .daemon:
            var taken: [UInt8] = []
            swap(&taken, &line)
            var writer = JSONLineWriter(appendingTo: taken)
            taken = []
            if encoding == .camelCase { Self.camelCase(alert, &writer) } else { Self.daemon(alert, &writer) }
            line = writer.bytes
        }
    }

    /// Texts whose exact bytes the JSON string does not show.
    struct RawNeeds: OptionSet {
        let rawValue: UInt8
        static let resource = RawNeeds(rawValue: 1)
        static let source = RawNeeds(rawValue: 2)
        static let processName = RawNeeds(rawValue: 4)
        static let parentProcessName = RawNeeds(rawValue: 8)
        static let cwd = RawNeeds(rawValue: 16)
        static let executableName = RawNeeds(rawValue: 32)
        static let resourceAlias = RawNeeds(rawValue: 64)
        static let tty = RawNeeds(rawValue: 128)

        mutating func note(_ need: RawNeeds, if needed: Bool) {
            if needed { insert(need) }
        }
    }

    private static func camelCase(_ alert: Alert, _ out: inout JSONLineWriter) {
        var raw: RawNeeds = []
        out.beginObject()
        out.integerIfAny("\"Timestamp\":", alert.wallClock / 1_000_000_000)
        out.timestamp("\"UpdatedTime\":", wallClock: alert.wallClock)
        out.stringIfAny("\"ClusterName\":", alert.clusterName)
        out.stringIfAny("\"HostName\":", alert.hostName)
        if let workload = alert.workload {
            out.stringIfAny("\"NamespaceName\":", workload.namespaceName)
            if let owner = workload.owner {
                out.beginObject("\"Owner\":")
                out.stringIfAny("\"Ref\":", owner.ref)
                out.stringIfAny("\"Name\":", owner.name)
                out.stringIfAny("\"Namespace\":", owner.namespace)
                out.endObject()
            }
            out.stringIfAny("\"PodName\":", workload.podName)
            out.stringIfAny("\"Labels\":", workload.labels)
            out.stringIfAny("\"ContainerID\":", workload.containerID)
            out.stringIfAny("\"ContainerName\":", workload.containerName)
            out.stringIfAny("\"ContainerImage\":", workload.containerImage)
        }
        out.integerIfAny("\"HostPPID\":", alert.hostPPID)
        out.integerIfAny("\"HostPID\":", alert.hostPID)
        out.integer("\"PPID\":", alert.ppid)
        out.integerIfAny("\"PID\":", alert.pid)
        out.integer("\"UID\":", Int32(truncatingIfNeeded: alert.uid))
        out.stringIfAny("\"UserName\":", alert.userName)
        raw.note(.parentProcessName, if: out.textIfAny("\"ParentProcessName\":", alert.parentProcessName))
        raw.note(.processName, if: out.textIfAny("\"ProcessName\":", alert.processName))
        out.stringIfAny("\"PolicyName\":", alert.policyName)
        out.stringIfAny("\"Severity\":", alert.severity)
        out.stringIfAny("\"Tags\":", alert.tags)
        if !alert.atags.isEmpty { out.list("\"ATags\":", alert.atags) }
        out.stringIfAny("\"Message\":", alert.message)
        out.stringIfAny("\"Type\":", alert.type)
        raw.note(.source, if: out.textIfAny("\"Source\":", alert.source))
        out.stringIfAny("\"Operation\":", alert.operation)
        raw.note(.resource, if: out.textIfAny("\"Resource\":", alert.resource))
        out.stringIfAny("\"Data\":", alert.data)
        if !alert.eventData.isEmpty { out.map("\"EventData\":", alert.eventData) }
        out.stringIfAny("\"Enforcer\":", alert.enforcer)
        out.stringIfAny("\"Action\":", alert.action)
        out.stringIfAny("\"Result\":", alert.result)
        raw.note(.cwd, if: out.textIfAny("\"Cwd\":", alert.cwd))
        raw.note(.tty, if: out.textIfAny("\"TTY\":", alert.tty))
        out.integerIfAny("\"MaxAlertsPerSec\":", alert.maxAlertsPerSec)
        out.integerIfAny("\"DroppingAlertsInterval\":", alert.droppingAlertsInterval)
        out.beginObject("\"ExecEvent\":")
        out.stringIfAny("\"ExecID\":", alert.execID)
        raw.note(.executableName, if: out.textIfAny("\"ExecutableName\":", alert.executableName))
        out.endObject()
        out.stringIfAny("\"KubeArmorVersion\":", alert.version)
        out.stringIfAny("\"NodeID\":", alert.nodeID)
        ours(alert, raw, &out)
        out.endObject()
    }

    private static func ours(_ alert: Alert, _ needs: RawNeeds, _ out: inout JSONLineWriter) {
        var needs = needs
        if !alert.resourceAlias.isEmpty {
            needs.note(.resourceAlias, if: out.text("\"ResourceAlias\":", alert.resourceAlias))
        }
        if !needs.isEmpty {
            if needs.contains(.resource) { out.raw("\"ResourceRaw\":", alert.resource) }
            if needs.contains(.resourceAlias) { out.raw("\"ResourceAliasRaw\":", alert.resourceAlias) }
            if needs.contains(.source) { out.raw("\"SourceRaw\":", alert.source) }
            if needs.contains(.processName) { out.raw("\"ProcessNameRaw\":", alert.processName) }
            if needs.contains(.parentProcessName) { out.raw("\"ParentProcessNameRaw\":", alert.parentProcessName) }
            if needs.contains(.cwd) { out.raw("\"CwdRaw\":", alert.cwd) }
            if needs.contains(.tty) { out.raw("\"TTYRaw\":", alert.tty) }
            if needs.contains(.executableName) { out.raw("\"ExecutableNameRaw\":", alert.executableName) }
        }
        out.flagIfTrue("\"PathUntrusted\":", alert.isPathUntrusted)
        out.flagIfTrue("\"MatchedByObject\":", alert.isMatchedByObject)
        out.flagIfTrue("\"Truncated\":", alert.isTruncated)
        out.integerIfAny("\"Suppressed\":", alert.suppressed)
        out.integerIfAny("\"Lost\":", alert.lost)
        out.integerIfAny("\"PolicyGeneration\":", alert.policyGeneration)
    }
}

extension AlertEncoder {
    private static func daemon(_ alert: Alert, _ out: inout JSONLineWriter) {
        var raw: RawNeeds = []
        out.beginObject()
        out.integer("\"timestamp\":", alert.wallClock / 1_000_000_000)
        out.timestamp("\"updatedTime\":", wallClock: alert.wallClock)
        out.string("\"hostName\":", alert.hostName)
        out.stringIfAny("\"nodeID\":", alert.nodeID)
        out.stringIfAny("\"username\":", alert.userName)
        if let workload = alert.workload {
            out.stringIfAny("\"namespaceName\":", workload.namespaceName)
            if let owner = workload.owner {
                out.beginObject("\"owner\":")
                out.stringIfAny("\"ref\":", owner.ref)
                out.stringIfAny("\"name\":", owner.name)
                out.stringIfAny("\"namespace\":", owner.namespace)
                out.endObject()
            }
            out.stringIfAny("\"podName\":", workload.podName)
            out.stringIfAny("\"labels\":", workload.labels)
            out.stringIfAny("\"containerID\":", workload.containerID)
            out.stringIfAny("\"containerName\":", workload.containerName)
            out.stringIfAny("\"containerImage\":", workload.containerImage)
        }
        out.integer("\"hostPPid\":", alert.hostPPID)
        out.integer("\"hostPid\":", alert.hostPID)
        out.integer("\"ppid\":", alert.ppid)
        out.integer("\"pid\":", alert.pid)
        out.integer("\"uid\":", Int32(truncatingIfNeeded: alert.uid))
        out.beginObject("\"execEvent\":")
        out.string("\"ExecID\":", alert.execID)
        raw.note(.executableName, if: out.text("\"ExecutableName\":", alert.executableName))
        out.endObject()
        raw.note(.parentProcessName, if: out.text("\"parentProcessName\":", alert.parentProcessName))
        raw.note(.processName, if: out.text("\"processName\":", alert.processName))
        out.stringIfAny("\"enforcer\":", alert.enforcer)
        out.stringIfAny("\"policyName\":", alert.policyName)
        out.stringIfAny("\"kubeArmorVersion\":", alert.version)
        out.stringIfAny("\"severity\":", alert.severity)
        out.stringIfAny("\"tags\":", alert.tags)
        if alert.atags.isEmpty { out.null("\"atags\":") } else { out.list("\"atags\":", alert.atags) }
        out.stringIfAny("\"message\":", alert.message)
        out.string("\"type\":", alert.type)
        raw.note(.source, if: out.text("\"source\":", alert.source))
        out.string("\"operation\":", alert.operation)
        raw.note(.resource, if: out.text("\"resource\":", alert.resource))
        raw.note(.cwd, if: out.text("\"cwd\":", alert.cwd))
        raw.note(.tty, if: out.textIfAny("\"tty\":", alert.tty))
        out.integer("\"oid\":", Int32(truncatingIfNeeded: alert.oid))
        out.stringIfAny("\"data\":", alert.data)
        if !alert.eventData.isEmpty { out.map("\"eventData\":", alert.eventData) }
        out.stringIfAny("\"action\":", alert.action)
        out.string("\"result\":", alert.result)
        out.integerIfAny("\"MaxAlertsPerSec\":", alert.maxAlertsPerSec)
        out.integerIfAny("\"DroppingAlertsInterval\":", alert.droppingAlertsInterval)
        ours(alert, raw, &out)
        out.endObject()
    }
}
