import ControlProtocol
import FileEnforcement
import NetworkEnforcement
import PolicyModel

/// Everything the roles are told at start: made by the process that parses command line and configuration, handed on as
/// flat `key=value` lines in sealed memory, so that guardian and worker never parse a configuration file.
package struct AgentSettings: Sendable, Equatable {
    /// Without privileges: supervised trees of the own user only.
    package var isRootless = false
    /// fanotify's events are used; otherwise only supervised trees are held, by their system calls alone.
    package var usesEvents = true
    /// Folders and files with policies.
    package var policyPaths: [String] = []
    /// Where alerts are appended; `-` is standard output, empty is nowhere.
    package var alertsPath = ""
    /// Rotate the alerts file beyond this many bytes; 0 never.
    package var alertsRotateBytes = 64 << 20
    /// How many rotated files are kept.
    package var alertsKeep = 5
    /// Keys of the alerts file: KubeArmor's gRPC names, or those of its daemon's own log file.
    package var daemonKeys = false
    /// Send alerts to the local syslog too.
    package var syslog = false
    /// Directory of socket, pid files and lock.
    package var runDirectory = "/run/portcullis"
    /// Directory in which applied policies survive a restart.
    package var stateDirectory = "/var/lib/portcullis"
    /// Unix socket of the command line tool; empty = `<runDirectory>/agent.sock`.
    package var socketPath = ""
    /// User id of the front.
    package var frontUser: UInt32 = 65534
    /// Group id of the front.
    package var frontGroup: UInt32 = 65534
    /// The gateway is started, and telemetry is kept for it.
    package var usesGateway = true
    /// User and group id of the gateway.
    package var gatewayUser: UInt32 = 65533
    /// Unix socket of the gateway; empty = `<runDirectory>/grpc.sock`.
    package var gatewaySocketPath = ""
    /// Group whose members reach that socket; `nil` = root only.
    package var gatewayGroup: UInt32?
    /// Users besides root who may use it.
    package var gatewayUsers: [UInt32] = []
    /// Where gRPC is offered by TLS, `ADDRESS:PORT`; nowhere unless told.
    package var secureListeners: [String] = []
    /// Folder with `ca.crt`, `server.crt` and `server.key`.
    package var tlsFolder = "/etc/portcullis/tls"
    /// A relay may change policies in the name of whoever asked it.
    package var relayMayChange = false
    /// Most bytes of the spool.
    package var spoolBytes = 64 << 20
    /// `ClusterName` of alerts.
    package var cluster = "default"
    /// Node name; labels `kubernetes.io/hostname` and `kubearmor.io/hostname`.
    package var host = ""
    /// Further node labels, `key=value`.
    package var nodeLabels: [String] = []
    /// Postures for the host.
    package var postures = Postures()
    /// Verdicts of the failure table.
    package var failures = FailureTable.failClosed
    /// An event held longer than this is answered by the guardian.
    package var deadlineMilliseconds = 2000
    /// What happens to a process that holds a file open which a new rule protects.
    package var killStaleDescriptors = false
    /// Allowed objects may be cached in the kernel.
    package var cachesAllows = true
    /// Reads of what file rules name are decided by who reads, whoever opened the descriptor.
    package var accessReview = false
    /// What is told of although no rule is about it.
    package var visible = VisibleOperations()
    /// KubeArmor's alert throttling.
    package var alertThrottling = true
    /// Alerts a second before throttling begins.
    package var maxAlertPerSec = 10
    /// Seconds of silence.
    package var throttleSec = 30
    /// Network policies are enforced in nf_tables.
    package var filtersPackets = true
    /// Group of nfnetlink_log in which the packet filter's reports come.
    package var packetLogGroup = RulesetPlanner.defaultLogGroup
    /// The table in nf_tables goes when the agent is stopped in order; a crash never removes it.
    package var removesPacketRules = false
    /// Containers that run and of which no hook tells are looked for.
    package var findsContainers = true
    /// Where; empty for where runtimes usually keep them.
    package var containerStates: [String] = []

    /// The defaults.
    package init() {}

    /// The socket's path.
    package var effectiveSocketPath: String { socketPath.isEmpty ? runDirectory + "/agent.sock" : socketPath }

    /// The socket that container runtimes send listeners to.
    package var runtimeSocketPath: String { runDirectory + "/runtime.sock" }

    private static let separator = UInt8(0)

    /// Flat form: `key=value` strings, each ended by a NUL.
    package func encoded() -> [UInt8] {
        var lines: [String] = policyPaths.map { "policyPath=\($0)" } + nodeLabels.map { "nodeLabel=\($0)" }
        lines.insert("release=\(ReleaseVersion.text)", at: 0)
        lines += [
            "rootless=\(isRootless)", "usesEvents=\(usesEvents)", "alertsPath=\(alertsPath)",
            "alertsRotateBytes=\(alertsRotateBytes)",
            "alertsKeep=\(alertsKeep)",
            "daemonKeys=\(daemonKeys)", "syslog=\(syslog)", "runDirectory=\(runDirectory)",
            "stateDirectory=\(stateDirectory)", "socketPath=\(socketPath)", "frontUser=\(frontUser)",
            "frontGroup=\(frontGroup)", "usesGateway=\(usesGateway)", "gatewayUser=\(gatewayUser)",
            "gatewaySocketPath=\(gatewaySocketPath)", "spoolBytes=\(spoolBytes)",
            "tlsFolder=\(tlsFolder)", "relayMayChange=\(relayMayChange)",
            "cluster=\(cluster)", "host=\(host)", "filePosture=\(postures.file.rawValue)",
            "networkPosture=\(postures.network.rawValue)", "capabilitiesPosture=\(postures.capabilities.rawValue)",
            "failures=\(failures.allowing)", "deadlineMilliseconds=\(deadlineMilliseconds)",
            "killStaleDescriptors=\(killStaleDescriptors)", "cachesAllows=\(cachesAllows)",
            "accessReview=\(accessReview)",
            "alertThrottling=\(alertThrottling)", "maxAlertPerSec=\(maxAlertPerSec)", "throttleSec=\(throttleSec)",
            "filtersPackets=\(filtersPackets)", "packetLogGroup=\(packetLogGroup)",
            "removesPacketRules=\(removesPacketRules)", "findsContainers=\(findsContainers)",
        ]
        lines += [
            "hostVisibility=\(visible.host.rawValue)", "containerVisibility=\(visible.containers.rawValue)",
        ]
        lines += visible.places.map { "visiblePlace=\($0)" }
        lines += containerStates.map { "containerState=\($0)" }
        lines += gatewayUsers.map { "gatewayMember=\($0)" } + secureListeners.map { "secureListener=\($0)" }
        if let gatewayGroup { lines.append("gatewayGroup=\(gatewayGroup)") }
        return lines.flatMap { Array($0.utf8) + [Self.separator] }
    }

    /// Reads the flat form; `nil` when a line is not one that `encoded` of this release makes.
    package init?(encoded bytes: [UInt8]) {
        let lines = bytes.split(separator: Self.separator)
        guard let release = lines.first, release.elementsEqual("release=\(ReleaseVersion.text)".utf8) else {
            return nil
        }
        for line in lines.dropFirst() {
            let text = String(decoding: line, as: UTF8.self)
            guard let equals = text.firstIndex(of: "=") else { return nil }
            guard set(String(text[..<equals]), String(text[text.index(after: equals)...])) else { return nil }
        }
    }

    private mutating func set(_ key: String, _ value: String) -> Bool {
        func store<T>(_ parsed: T?, _ path: WritableKeyPath<AgentSettings, T>) -> Bool {
            guard let parsed else { return false }
            self[keyPath: path] = parsed
            return true
        }
        switch key {
        case "gatewaySocketPath": gatewaySocketPath = value
        case "usesGateway": return store(Bool(value), \.usesGateway)
        case "gatewayUser": return store(UInt32(value), \.gatewayUser)
        case "gatewayGroup": return store(UInt32(value), \.gatewayGroup)
        case "gatewayMember":
            guard let user = UInt32(value) else { return false }
            gatewayUsers.append(user)
        case "hostVisibility": return store(UInt8(value).map(Visibility.init), \.visible.host)
        case "containerVisibility": return store(UInt8(value).map(Visibility.init), \.visible.containers)
        case "visiblePlace": visible.places.append(value)
        case "secureListener": secureListeners.append(value)
        case "tlsFolder": tlsFolder = value
        case "relayMayChange": return store(Bool(value), \.relayMayChange)
        case "spoolBytes": return store(Int(value), \.spoolBytes)
        case "policyPath": policyPaths.append(value)
        case "nodeLabel": nodeLabels.append(value)
        case "alertsPath": alertsPath = value
        case "runDirectory": runDirectory = value
        case "stateDirectory": stateDirectory = value
        case "socketPath": socketPath = value
        case "cluster": cluster = value
        case "host": host = value
        case "rootless": return store(Bool(value), \.isRootless)
        case "usesEvents": return store(Bool(value), \.usesEvents)
        case "alertsRotateBytes": return store(Int(value), \.alertsRotateBytes)
        case "alertsKeep": return store(Int(value), \.alertsKeep)
        case "daemonKeys": return store(Bool(value), \.daemonKeys)
        case "syslog": return store(Bool(value), \.syslog)
        case "frontUser": return store(UInt32(value), \.frontUser)
        case "frontGroup": return store(UInt32(value), \.frontGroup)
        case "filePosture": return store(UInt8(value).flatMap(Posture.init), \.postures.file)
        case "networkPosture": return store(UInt8(value).flatMap(Posture.init), \.postures.network)
        case "capabilitiesPosture": return store(UInt8(value).flatMap(Posture.init), \.postures.capabilities)
        case "failures": return store(UInt32(value).map(FailureTable.init), \.failures)
        case "deadlineMilliseconds": return store(Int(value), \.deadlineMilliseconds)
        case "killStaleDescriptors": return store(Bool(value), \.killStaleDescriptors)
        case "cachesAllows": return store(Bool(value), \.cachesAllows)
        case "accessReview": return store(Bool(value), \.accessReview)
        case "alertThrottling": return store(Bool(value), \.alertThrottling)
        case "maxAlertPerSec": return store(Int(value), \.maxAlertPerSec)
        case "throttleSec": return store(Int(value), \.throttleSec)
        case "filtersPackets": return store(Bool(value), \.filtersPackets)
        case "packetLogGroup": return store(UInt16(value), \.packetLogGroup)
        case "findsContainers": return store(Bool(value), \.findsContainers)
        case "containerState": containerStates.append(value)
        case "removesPacketRules": return store(Bool(value), \.removesPacketRules)
        default: return false
        }
        return true
    }
}
