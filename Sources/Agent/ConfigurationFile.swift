import AgentCore
import FileEnforcement
import Glibc
import LinuxKernel
import PolicyModel
import Yams

/// Something wrong in the configuration; one line.
struct ConfigurationError: Error, CustomStringConvertible {
    let text: String
    var description: String { text }
}

/// The configuration file: KubeArmor's keys where it has them, and ours. Read once, by the process that becomes the guardian's
/// parent image, before anything privileged is set up.
enum ConfigurationFile {
    private static let limit = 256 << 10

    /// Applies a file to settings. The file must belong to root and be writable by nobody else.
    static func read(_ path: String, into settings: inout AgentSettings) throws {
        let text = try contents(path)
        let node: Node?
        do { node = try Yams.compose(yaml: text) } catch {
            throw ConfigurationError(text: "\(path): not YAML: \(error)")
        }
        guard let node else { return }
        guard case .mapping(let mapping) = node else {
            throw ConfigurationError(text: "\(path):1:1: the configuration must be a mapping")
        }
        for (key, value) in mapping {
            let place = "\(path):\(key.mark?.line ?? 1):\(key.mark?.column ?? 1)"
            guard let name = key.string else { throw ConfigurationError(text: "\(place): a key must be a string") }
            try set(name, value, place, &settings)
        }
    }

    private static func contents(_ path: String) throws -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { throw ConfigurationError(text: "\(path): \(String(cString: strerror(errno)))") }
        let file = Descriptor(owning: descriptor)
        let status = try ObjectStatus.of(descriptor: file.raw)
        guard status.isRegularFile else { throw ConfigurationError(text: "\(path): not a regular file") }
        guard status.uid == 0 || status.uid == geteuid(), status.mode & 0o022 == 0 else {
            throw ConfigurationError(text: "\(path): must belong to root and be writable by nobody else")
        }
        guard let text = String(validating: try file.readAll(limit: limit), as: UTF8.self) else {
            throw ConfigurationError(text: "\(path): not valid UTF-8")
        }
        return text
    }

    private static func set(_ name: String, _ value: Node, _ place: String, _ settings: inout AgentSettings) throws {
        func string() throws -> String {
            guard let text = value.scalar?.string else {
                throw ConfigurationError(text: "\(place): \(name) must be a string")
            }
            return text
        }
        func strings() throws -> [String] {
            if let items = value.sequence {
                return try items.map { item in
                    guard let text = item.scalar?.string else {
                        throw ConfigurationError(text: "\(place): \(name) must be a list of strings")
                    }
                    return text
                }
            }
            return [try string()]
        }
        func integer(_ range: ClosedRange<Int>) throws -> Int {
            guard let number = value.int, range.contains(number) else {
                throw ConfigurationError(
                    text: "\(place): \(name) must be an integer between \(range.lowerBound) and \(range.upperBound)")
            }
            return number
        }
        /// Never root's.
        func user() throws -> UInt32 {
            guard let text = value.scalar?.string, value.int == nil else {
                return UInt32(try integer(1...Int(UInt32.max - 1)))
            }
            guard let user = LocalUsers.id(of: text), user != 0 else {
                throw ConfigurationError(
                    text: "\(place): \(name) must be a user in /etc/passwd, or an id, and not root: '\(text)'")
            }
            return user
        }
        func boolean() throws -> Bool {
            guard let truth = value.bool else {
                throw ConfigurationError(text: "\(place): \(name) must be true or false")
            }
            return truth
        }
        switch name {
        case "policies": settings.policyPaths += try strings()
        case "alerts", "logPath":
            let path = try string()
            settings.alertsPath = path == "none" ? "" : path == "stdout" ? "-" : path
            settings.daemonKeys = name == "logPath"
        case "alertsRotateBytes": settings.alertsRotateBytes = try integer(0...(1 << 40))
        case "alertsKeep": settings.alertsKeep = try integer(1...1000)
        case "syslog": settings.syslog = try boolean()
        case "socket": settings.socketPath = try string()
        case "runDirectory": settings.runDirectory = try string()
        case "stateDirectory": settings.stateDirectory = try string()
        case "frontUser":
            settings.frontUser = try user()
            settings.frontGroup = settings.frontUser
        case "hostVisibility": settings.visible.host = try visibility(try string(), "\(place): \(name)")
        case "visibility": settings.visible.containers = try visibility(try string(), "\(place): \(name)")
        case "visiblePaths": settings.visible.places += try strings()
        case "enableGRPC": settings.usesGateway = try boolean()
        case "grpcSocket": settings.gatewaySocketPath = try string()
        case "grpcGroup": settings.gatewayGroup = UInt32(try integer(0...Int(UInt32.max - 1)))
        case "grpcUsers":
            settings.gatewayUsers += try strings().map {
                guard let user = UInt32($0) else {
                    throw ConfigurationError(text: "\(place): grpcUsers must be user ids, not '\($0)'")
                }
                return user
            }
        case "grpcListen": settings.secureListeners += try strings()
        // KubeArmor's: every address of the machine. `tlsEnabled` has to be there, too.
        case "gRPC": settings.secureListeners.append("[::]:\(try integer(0...65_535))")
        case "tlsEnabled":
            guard try boolean() else {
                throw ConfigurationError(
                    text: "\(place): there is no gRPC over TCP without TLS; leave gRPC and tlsEnabled out")
            }
        case "tlsCertPath": settings.tlsFolder = try string()
        case "grpcRelayMayChange": settings.relayMayChange = try boolean()
        case "gatewayUser": settings.gatewayUser = try user()
        case "spoolBytes": settings.spoolBytes = try integer((1 << 16)...(1 << 40))
        case "cluster": settings.cluster = try string()
        case "host": settings.host = try string()
        case "nodeLabels": settings.nodeLabels += try strings()
        case "hostDefaultFilePosture": settings.postures.file = try posture(try string(), "\(place): \(name)")
        case "hostDefaultNetworkPosture": settings.postures.network = try posture(try string(), "\(place): \(name)")
        case "hostDefaultCapabilitiesPosture":
            settings.postures.capabilities = try posture(try string(), "\(place): \(name)")
        case "onFailure": for text in try strings() { try setFailure(text, "\(place): \(name)", &settings) }
        case "deadlineMilliseconds": settings.deadlineMilliseconds = try integer(50...60_000)
        case "staleFd":
            let action = try string()
            guard ["alert", "kill"].contains(action) else {
                throw ConfigurationError(text: "\(place): staleFd must be alert or kill, not '\(action)'")
            }
            settings.killStaleDescriptors = action == "kill"
        case "accessReview": settings.accessReview = try boolean()
        case "cacheAllows": settings.cachesAllows = try boolean()
        case "alertThrottling": settings.alertThrottling = try boolean()
        case "maxAlertPerSec": settings.maxAlertPerSec = try integer(1...1_000_000)
        case "throttleSec": settings.throttleSec = try integer(1...86_400)
        case "enableNetworkPolicyEnforcer": settings.filtersPackets = try boolean()
        case "packetLogGroup": settings.packetLogGroup = UInt16(try integer(0...65_535))
        case "networkRulesOnStop":
            let action = try string()
            guard ["keep", "remove"].contains(action) else {
                throw ConfigurationError(text: "\(place): networkRulesOnStop must be keep or remove, not '\(action)'")
            }
            settings.removesPacketRules = action == "remove"
        default: throw ConfigurationError(text: "\(place): unknown key '\(name)'")
        }
    }

    /// What of the gateway's settings does not fit together.
    static func checkGateway(_ settings: AgentSettings) throws {
        guard settings.isRootless || (settings.gatewayUser != 0 && settings.gatewayUser != settings.frontUser) else {
            throw ConfigurationError(text: "the gateway needs a user of its own: neither root nor the front's")
        }
        guard settings.gatewayUsers.isEmpty || settings.gatewayGroup != nil else {
            throw ConfigurationError(text: "users of the gRPC socket need a group that reaches it (grpcGroup)")
        }
        for text in settings.secureListeners where TCPSocket.Place(text) == nil {
            throw ConfigurationError(
                text: "'\(text)' must be ADDRESS:PORT, the address numeric, an IPv6 address in brackets")
        }
        guard settings.secureListeners.count <= 8 else {
            throw ConfigurationError(text: "more than 8 places to listen at")
        }
        guard settings.spoolBytes >= 1 << 16 else {
            throw ConfigurationError(text: "the spool needs at least 65536 bytes")
        }
    }

    /// KubeArmor's words for visibility.
    static func visibility(_ text: String, _ place: String) throws -> Visibility {
        guard let visibility = Visibility(words: text) else {
            throw ConfigurationError(text: "\(place) must be words of process, file, network and none, not '\(text)'")
        }
        return visibility
    }

    /// A posture's word.
    static func posture(_ text: String, _ place: String) throws -> Posture {
        guard let posture = Posture.allCases.first(where: { $0.name == text }) else {
            throw ConfigurationError(text: "\(place) must be allow, audit or block, not '\(text)'")
        }
        return posture
    }

    /// `name=allow` or `name=deny` of the failure table.
    static func setFailure(_ text: String, _ place: String, _ settings: inout AgentSettings) throws {
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2, let row = FailureRow.allCases.first(where: { $0.name == parts[0] }),
            ["allow", "deny"].contains(parts[1])
        else {
            let names = FailureRow.allCases.map(\.name).joined(separator: ", ")
            throw ConfigurationError(text: "\(place): '\(text)' must be NAME=allow or NAME=deny, NAME one of \(names)")
        }
        settings.failures.set(row, allow: parts[1] == "allow")
    }
}
