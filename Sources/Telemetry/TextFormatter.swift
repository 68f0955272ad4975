/// The form that `karmor logs` prints. No byte of a record can reach a terminal as a control: newlines, escapes, C1
/// controls and invalid bytes are shown as `\xNN`, characters that hide or reorder text as `\u{…}`, a backslash twice.
public enum TextFormatter {
    /// Appends the record: a heading and one `Key: value` line per non-empty field, each ended by a newline except the last.
    public static func format(_ alert: Alert, into line: inout [UInt8]) {
        append("== Alert / ", to: &line)
        UTCTime(wallClock: alert.wallClock).append(to: &line, separator: UInt8(ascii: " "))
        append(" ==", to: &line)
        var out = FieldLines(bytes: line)
        line = []
        leading(alert, &out)
        remaining(alert, &out)
        line = out.bytes
    }

    /// Makes one text from outside fit for one line of a terminal.
    public static func neutralise(_ text: [UInt8]) -> [UInt8] {
        var safe: [UInt8] = []
        safe.reserveCapacity(text.count)
        text.withUnsafeBufferPointer { append(neutralised: $0, to: &safe) }
        return safe
    }

    /// The fields that karmor prints first, in its order.
    private static func leading(_ alert: Alert, _ out: inout FieldLines) {
        out.add("ClusterName", alert.clusterName)
        out.add("HostName", alert.hostName)
        if let workload = alert.workload {
            out.add("NamespaceName", workload.namespaceName)
            out.add("PodName", workload.podName)
            out.add("Labels", workload.labels)
            out.add("ContainerName", workload.containerName)
            out.add("ContainerID", workload.containerID)
            out.add("ContainerImage", workload.containerImage)
        }
        out.add("Type", alert.type)
        out.add("PolicyName", alert.policyName)
        out.add("Severity", alert.severity)
        out.add("Message", alert.message)
        out.add("Source", alert.source)
        out.add("Resource", alert.resource)
        out.add("Operation", alert.operation)
        out.add("Action", alert.action)
        out.add("Data", alert.data)
        if !alert.eventData.isEmpty {
            out.add("EventData", "map[\(alert.eventData.map { "\($0.key):\($0.value)" }.joined(separator: " "))]")
        }
        out.add("Enforcer", alert.enforcer)
        out.add("Result", alert.result)
    }

    /// All others by alphabet; `Timestamp` and `UpdatedTime` are in the heading.
    private static func remaining(_ alert: Alert, _ out: inout FieldLines) {
        if !alert.atags.isEmpty { out.add("ATags", "[\(alert.atags.joined(separator: " "))]") }
        out.add("Cwd", alert.cwd)
        out.addIfNonZero("DroppingAlertsInterval", alert.droppingAlertsInterval)
        if !alert.execID.isEmpty || !alert.executableName.isEmpty {
            out.add(
                "ExecEvent",
                Array("map[ExecID:\(alert.execID) ExecutableName:".utf8) + alert.executableName + Array("]".utf8))
        }
        out.addIfNonZero("HostPID", alert.hostPID)
        out.addIfNonZero("HostPPID", alert.hostPPID)
        out.add("KubeArmorVersion", alert.version)
        out.addIfNonZero("Lost", alert.lost)
        if alert.isMatchedByObject { out.add("MatchedByObject", "true") }
        out.addIfNonZero("MaxAlertsPerSec", alert.maxAlertsPerSec)
        out.add("NodeID", alert.nodeID)
        if let owner = alert.workload?.owner {
            out.add("Owner", "map[Name:\(owner.name) Namespace:\(owner.namespace) Ref:\(owner.ref)]")
        }
        out.addIfNonZero("PID", alert.pid)
        out.add("PPID", String(alert.ppid))
        out.add("ParentProcessName", alert.parentProcessName)
        if alert.isPathUntrusted { out.add("PathUntrusted", "true") }
        out.addIfNonZero("PolicyGeneration", alert.policyGeneration)
        out.add("ProcessName", alert.processName)
        out.add("ResourceAlias", alert.resourceAlias)
        out.addIfNonZero("Suppressed", alert.suppressed)
        out.add("TTY", alert.tty)
        out.add("Tags", alert.tags)
        if alert.isTruncated { out.add("Truncated", "true") }
        out.add("UID", String(Int32(truncatingIfNeeded: alert.uid)))
        out.add("UserName", alert.userName)
    }

    private struct FieldLines {
        var bytes: [UInt8]

        mutating func add(_ key: String, _ value: String) {
            guard !value.isEmpty else { return }
            begin(key)
            var value = value
            value.withUTF8 { TextFormatter.append(neutralised: $0, to: &bytes) }
        }

        mutating func add(_ key: String, _ value: [UInt8]) {
            guard !value.isEmpty else { return }
            begin(key)
            value.withUnsafeBufferPointer { TextFormatter.append(neutralised: $0, to: &bytes) }
        }

        mutating func addIfNonZero(_ key: String, _ value: some FixedWidthInteger) {
            if value != 0 { add(key, String(value)) }
        }

        private mutating func begin(_ key: String) {
            bytes.append(UInt8(ascii: "\n"))
            bytes.append(contentsOf: key.utf8)
            bytes.append(UInt8(ascii: ":"))
            bytes.append(UInt8(ascii: " "))
        }
    }

    private static func append(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: text.utf8)
    }

    private static func append(neutralised text: UnsafeBufferPointer<UInt8>, to bytes: inout [UInt8]) {
        var index = 0
        while index < text.count {
            let (found, length) = ScalarScanner.classify(text, at: index)
            let piece = text[index..<index + length]
            switch found {
            case .plain:
                bytes.append(contentsOf: piece)
                if text[index] == UInt8(ascii: "\\") { bytes.append(UInt8(ascii: "\\")) }
            case .control, .invalid:
                for byte in piece { append((byte < 16 ? "\\x0" : "\\x") + String(byte, radix: 16), to: &bytes) }
            case .deceptive(let scalar): append("\\u{\(String(scalar, radix: 16))}", to: &bytes)
            }
            index += length
        }
    }
}
