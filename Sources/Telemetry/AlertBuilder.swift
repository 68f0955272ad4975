import EventRing

/// Makes alerts from events, by the field rules of KubeArmor. See `docs/telemetry.md` for the rules and our additions.
public struct AlertBuilder: Sendable {
    /// How alerts name this machine.
    public var node: NodeIdentity
    /// `KubeArmorVersion`; empty leaves the field out.
    public var version: String
    /// How much of a text is kept.
    public var limits: FieldLimits
    private let users: UserNames

    /// Creates a builder.
    public init(
        node: NodeIdentity, version: String = "", limits: FieldLimits = FieldLimits(), users: UserNames = UserNames()
    ) {
        self.node = node
        self.version = version
        self.limits = limits
        self.users = users
    }

    /// The alert for `event`.
    ///
    /// - Parameters:
    ///   - rule: what decided; a notice takes its policy name, severity, tags and message from it.
    ///   - workload: the container, `nil` on the host.
    public func alert(for event: EnforcementEvent, rule: RuleMetadata, workload: AlertWorkload? = nil) -> Alert {
        var alert = blank(at: event.wallClock, workload: workload)
        alert.isTruncated = !event.truncation.isEmpty
        fillProcess(&alert, event)
        if event.kind == .observation {
            fillObservation(&alert, event)
            return alert
        }
        fillRule(&alert, rule)
        if event.category == .packet {
            fillPacket(&alert, event, rule)
            return alert
        }
        if event.category == .query {
            fillQuery(&alert, event, rule)
            return alert
        }
        fillObject(&alert, event)
        switch event.kind {
        case .verdict:
            let isEnforcing = event.effect == .block || rule.origin != .rule
            if event.category == .network {
                fillSocket(&alert, event, isEnforcing: isEnforcing)
            } else if event.category == .capability {
                (alert.data, alert.eventData) = Self.withEventData(
                    "lsm=CAPABLE " + String(decoding: alert.resource, as: UTF8.self))
            } else if event.category == .syscall, !event.callText.isEmpty {
                (alert.data, alert.eventData) = Self.withEventData(
                    "syscall=" + String(decoding: event.callText, as: UTF8.self))
            } else if event.category == .file, !event.callText.isEmpty {
                alert.data = String(decoding: event.callText, as: UTF8.self)
            } else if isEnforcing, event.category != .syscall {
                (alert.data, alert.eventData) =
                    event.category == .process
                    ? Self.bprmCheck : Self.withEventData("lsm=" + SystemCallText.hook(of: event.syscallNumber))
            } else {
                (alert.data, alert.eventData) = Self.systemCallData(event)
            }
            alert.enforcer = rule.presetEnforcer ?? event.enforcer
        case .staleDescriptor:
            alert.operation = "File"
            alert.data = "event=stale-fd" + (event.descriptor.map { " fd=\($0)" } ?? "")
            alert.eventData = EventDatum.parse(alert.data)
            alert.enforcer = event.enforcer
        // Returned above.
        case .observation: break
        case .notice:
            alert.type = "SystemEvent"
            alert.operation = "Notice"
            alert.source = []
            alert.resource = capped(event.resource, limits.path, &alert.isTruncated)
            alert.enforcer = event.enforcer
            alert.result = "Passed"
            return alert
        }
        alert.action = Self.action(event.effect, rule)
        alert.result = event.effect == .block ? "Permission denied" : "Passed"
        return alert
    }

    /// The record that says a workload's alerts are being withheld; process fields stay zero, as upstream's kernel part has it.
    public func thresholdRecord(
        settings: ThrottleSettings, wallClock: UInt64, workload: AlertWorkload? = nil, suppressed: UInt64 = 0
    ) -> Alert {
        var alert = blank(at: wallClock, workload: workload)
        alert.type = "SystemEvent"
        alert.operation = "AlertThreshold"
        alert.result = "Passed"
        alert.maxAlertsPerSec = settings.maxAlertsPerSecond
        alert.droppingAlertsInterval = settings.silenceSeconds
        alert.suppressed = suppressed
        return alert
    }

    // MARK: - Parts

    private static let bprmCheck = withEventData("lsm=SECURITY_BPRM_CHECK")
    private static let fileOpen = withEventData("lsm=FILE_OPEN")

    private static func withEventData(_ data: String) -> (String, [EventDatum]) { (data, EventDatum.parse(data)) }

    private func blank(at wallClock: UInt64, workload: AlertWorkload?) -> Alert {
        var alert = Alert()
        alert.wallClock = wallClock
        alert.clusterName = node.clusterName
        alert.hostName = node.hostName
        alert.nodeID = node.nodeID
        alert.version = version
        alert.workload = workload
        return alert
    }

    private func fillProcess(_ alert: inout Alert, _ event: EnforcementEvent) {
        alert.hostPID = event.hostPID
        alert.hostPPID = event.hostPPID
        alert.ppid = event.hostPPID
        alert.pid = alert.workload == nil || event.namespacePID == 0 ? event.hostPID : event.namespacePID
        alert.uid = event.uid
        alert.oid = event.oid
        if alert.workload == nil, event.kind != .notice { alert.userName = users.name(of: event.uid) }
        alert.parentProcessName = capped(event.parentExecutable, limits.path, &alert.isTruncated)
        alert.cwd = capped(event.workingDirectory, limits.path, &alert.isTruncated)
        if let last = alert.cwd.last, last != UInt8(ascii: "/") { alert.cwd.append(UInt8(ascii: "/")) }
        alert.tty = capped(event.tty, limits.name, &alert.isTruncated)
        if event.kind != .notice { alert.execID = "0" }
        alert.executableName = capped(event.comm, limits.name, &alert.isTruncated)
        alert.lost = event.lossCount
        alert.policyGeneration = event.snapshotGeneration
    }

    /// A log: no rule, and what is known of the call.
    private func fillObservation(_ log: inout Alert, _ event: EnforcementEvent) {
        log.kind = .log
        log.type = log.workload == nil ? "HostLog" : "ContainerLog"
        log.version = ""
        fillObject(&log, event)
        if event.category == .network {
            fillSocket(&log, event, isEnforcing: false)
        } else {
            (log.data, log.eventData) = Self.systemCallData(event)
        }
        log.result = "Passed"
    }

    private func fillRule(_ alert: inout Alert, _ rule: RuleMetadata) {
        alert.policyName = rule.policyName
        alert.severity = rule.severityText
        alert.tags = rule.joinedTags
        alert.atags = rule.splitTags
        alert.message = rule.message
        alert.type = rule.isHostPolicy ? "MatchedHostPolicy" : "MatchedPolicy"
    }

    private func fillObject(_ alert: inout Alert, _ event: EnforcementEvent) {
        if event.category == .process && event.kind != .notice && event.kind != .staleDescriptor {
            alert.operation = "Process"
            alert.processName = capped(event.resource, limits.path, &alert.isTruncated)
            alert.source = alert.parentProcessName
            alert.resource = commandLine(event.resource, event.arguments, &alert.isTruncated)
        } else {
            alert.operation =
                switch event.category {
                case .network, .query: "Network"
                case .capability: "Capabilities"
                case .syscall: "Syscall"
                case .file, .process, .packet: "File"
                }
            alert.processName = capped(event.executable, limits.path, &alert.isTruncated)
            alert.source = commandLine(event.executable, event.arguments, &alert.isTruncated)
            alert.resource =
                event.category == .network ? [] : capped(event.resource, limits.path, &alert.isTruncated)
        }
        alert.resourceAlias = capped(event.aliasPath, limits.path, &alert.isTruncated)
        alert.isPathUntrusted = event.isPathUntrusted
        alert.isMatchedByObject = event.isMatchedByObject
    }

    private func fillSocket(_ alert: inout Alert, _ event: EnforcementEvent, isEnforcing: Bool) {
        guard let socket = SocketText.Registers(event.resource) else { return }
        let resource = isEnforcing ? SocketText.denied(socket) : SocketText.seen(socket)
        alert.resource = Array(resource.utf8)
        let call = SystemCallText.socketCall(of: event.syscallNumber)
        alert.data = isEnforcing ? "lsm=\(call.hook) \(resource)" : "syscall=\(call.name)"
        // The resource's words count too, and win.
        alert.eventData = EventDatum.parse(isEnforcing ? alert.data : alert.data + " " + resource)
    }

    private func fillPacket(_ alert: inout Alert, _ event: EnforcementEvent, _ rule: RuleMetadata) {
        alert.type = "MatchedNetworkPolicy"
        alert.operation = "NetworkFirewall"
        alert.enforcer = "NetworkPolicyEnforcer"
        alert.action = Self.action(event.effect, rule)
        alert.result = event.effect == .block ? "Permission denied" : "Passed"
        // A packet has no process; only who changed the table has.
        alert.userName = ""
        alert.execID = ""
        alert.uid = 0
        guard let flow = PacketFlow(event.resource) else {
            alert.resource = Array("table inet portcullis".utf8)
            return
        }
        if flow.origin == .sockets {
            alert.type = rule.isHostPolicy ? "MatchedHostPolicy" : "MatchedPolicy"
            alert.operation = "Network"
            alert.enforcer = event.enforcer
            alert.resource = Array("protocol=\(FlowText.transport(flow.transport))".utf8)
        } else {
            alert.resource = Array(FlowText.direction(flow).utf8)
        }
        alert.data = FlowText.data(flow, quotaLevel: rule.quotaLevel, quotaLimit: rule.quotaLimit)
        alert.eventData = EventDatum.parse(alert.data)
    }

    private func fillQuery(_ alert: inout Alert, _ event: EnforcementEvent, _ rule: RuleMetadata) {
        alert.operation = "Network"
        alert.enforcer = event.enforcer
        alert.action = Self.action(event.effect, rule)
        alert.result = event.effect == .block ? "Permission denied" : "Passed"
        let name = capped(event.resource, limits.path, &alert.isTruncated)
        alert.resource = rule.domain.isEmpty ? name : Array(rule.domain.utf8)
        let isEnforcing = event.effect == .block || rule.origin != .rule
        let query = PacketQuery(event.callText)
        alert.data = isEnforcing ? "lsm=\(SystemCallText.queryHook(of: event.syscallNumber))" : "kfunc=UDP_SENDSKB"
        if name.isEmpty {
            // It could not be looked into: only the resolver is known.
            alert.resource = query.map { Array("daddr=\(FlowText.destination($0.flow))".utf8) } ?? []
        } else {
            alert.data += " domain=" + QueryText.word(name)
        }
        if let query { alert.data += QueryText.of(query) }
        if event.enforcer == "nftables" {
            // A packet has no process.
            (alert.userName, alert.execID, alert.uid) = ("", "", 0)
        } else {
            alert.processName = capped(event.executable, limits.path, &alert.isTruncated)
            alert.source = commandLine(event.executable, event.arguments, &alert.isTruncated)
        }
        alert.eventData = EventDatum.parse(alert.data)
    }

    /// `Audit (…)` marks what the policy would have done, had enforcement been possible.
    private static func action(_ effect: EnforcementEvent.Effect, _ rule: RuleMetadata) -> String {
        guard effect == .audit else { return "Block" }
        return switch rule.action {
        case .audit: "Audit"
        case .block: "Audit (Block)"
        case .allow: "Audit (Allow)"
        }
    }

    private static func systemCallData(_ event: EnforcementEvent) -> (String, [EventDatum]) {
        guard let name = SystemCallText.name(of: event.syscallNumber) else {
            return event.category == .process ? bprmCheck : event.category == .syscall ? ("", []) : fileOpen
        }
        var data = "syscall=" + name
        switch name {
        case "SYS_OPENAT", "SYS_OPENAT2", "SYS_EXECVEAT", "SYS_OPEN_BY_HANDLE_AT":
            if let descriptor = event.descriptor { data += " fd=\(descriptor)" }
        default: break
        }
        if let flags = event.openFlags {
            switch name {
            case "SYS_EXECVEAT": data += " flag=" + SystemCallText.atFlags(flags)
            case "SYS_OPEN", "SYS_OPENAT", "SYS_OPENAT2", "SYS_OPEN_BY_HANDLE_AT":
                data += " flags=" + SystemCallText.openFlags(flags)
            default: break
            }
        }
        return withEventData(data)
    }

    private func capped(_ text: [UInt8], _ limit: Int, _ isTruncated: inout Bool) -> [UInt8] {
        guard text.count > limit else { return text }
        isTruncated = true
        return Array(ScalarScanner.prefix(text, limit: limit))
    }

    /// `path arg1 arg2`: argv[0] is what the caller chose to write there, so the path stands in its place.
    private func commandLine(_ path: [UInt8], _ arguments: [UInt8], _ isTruncated: inout Bool) -> [UInt8] {
        guard let end = arguments.firstIndex(of: 0), end + 1 < arguments.count else {
            return capped(path, limits.path, &isTruncated)
        }
        var line = capped(path, limits.path, &isTruncated)
        var rest = arguments[(end + 1)...]
        if rest.last == 0 { rest.removeLast() }
        let room = max(0, limits.commandLine - line.count - 1)
        // One byte more than fits is enough to cut at a character boundary, so 2 MiB of arguments are not copied.
        let taken = rest.prefix(room + 1)
        line.reserveCapacity(line.count + taken.count + 1)
        line.append(UInt8(ascii: " "))
        for byte in taken { line.append(byte == 0 ? UInt8(ascii: " ") : byte) }
        return capped(line, max(limits.commandLine, limits.path), &isTruncated)
    }
}
