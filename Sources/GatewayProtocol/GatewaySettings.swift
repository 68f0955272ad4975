/// What the gateway is told at start by the guardian: flat `key=value` strings in sealed memory, each ended by a NUL.
public struct GatewaySettings: Sendable, Equatable {
    /// Name of the node.
    public var host = ""
    /// `ClusterName`.
    public var cluster = "default"
    /// Users who may connect to the unix socket.
    public var users: [UInt32] = [0]
    /// Listening sockets for TLS, from `GatewayDescriptor.firstSecure` on.
    public var secureListeners = 0
    /// Policies may be changed over the network by a relay, in the name of whoever asked it.
    public var relayMayChange = false
    /// Most connections of each listener.
    public var connections = 256
    /// Without privileges: nothing to give up.
    public var isRootless = false

    /// The defaults.
    public init() {}

    /// The flat form.
    public func encoded() -> [UInt8] {
        let lines =
            users.map { "user=\($0)" } + [
                "host=\(host)", "cluster=\(cluster)", "secureListeners=\(secureListeners)",
                "relayMayChange=\(relayMayChange)", "connections=\(connections)", "rootless=\(isRootless)",
            ]
        return lines.flatMap { Array($0.utf8) + [0] }
    }

    /// Reads the flat form; `nil` when a line is not one that `encoded` makes.
    public init?(encoded bytes: [UInt8]) {
        users = []
        for line in bytes.split(separator: 0) {
            let text = String(decoding: line, as: UTF8.self)
            guard let equals = text.firstIndex(of: "="),
                set(String(text[..<equals]), String(text[text.index(after: equals)...]))
            else { return nil }
        }
    }

    private mutating func set(_ key: String, _ value: String) -> Bool {
        func store<T>(_ parsed: T?, _ path: WritableKeyPath<GatewaySettings, T>) -> Bool {
            guard let parsed else { return false }
            self[keyPath: path] = parsed
            return true
        }
        switch key {
        case "user":
            guard let user = UInt32(value) else { return false }
            users.append(user)
            return true
        case "host": host = value
        case "cluster": cluster = value
        case "secureListeners": return store(Int(value), \.secureListeners)
        case "relayMayChange": return store(Bool(value), \.relayMayChange)
        case "connections": return store(Int(value), \.connections)
        case "rootless": return store(Bool(value), \.isRootless)
        default: return false
        }
        return true
    }
}

/// The descriptor numbers that the gateway finds open when it starts.
public enum GatewayDescriptor {
    /// Sealed settings.
    public static let settings: Int32 = 3
    /// Message socket to the guardian.
    public static let guardian: Int32 = 4
    /// Eventfd that is signalled when the spool has records.
    public static let wake: Int32 = 5
    /// The spool's directory.
    public static let spool: Int32 = 6
    /// The directory of what the gateway itself keeps.
    public static let state: Int32 = 7
    /// The listening unix socket.
    public static let local: Int32 = 8
    /// First of the listening sockets for TLS.
    public static let firstSecure: Int32 = 9
}

/// A message between guardian and gateway: one SOCK_SEQPACKET datagram of two bytes, up to one descriptor with it.
public struct GatewayMessage: Equatable, Sendable {
    /// What a message says.
    public enum Kind: UInt8, Sendable {
        // Guardian → gateway
        /// A connection to the front's control protocol; what was there before is of no use any more.
        case control = 1
        /// A file of the TLS identity, open for reading: number 0 authority, 1 certificate, 2 key.
        case credential
        /// All files of the TLS identity were sent; number = how many.
        case credentialsEnd
        /// Stop in order.
        case stop
        // Gateway → guardian
        /// Send a connection to the front.
        case askControl
        /// Send the files of the TLS identity.
        case askCredentials
    }

    /// What it says.
    public var kind: Kind
    /// Of what.
    public var number: UInt8

    /// Creates a message.
    public init(_ kind: Kind, number: UInt8 = 0) {
        self.kind = kind
        self.number = number
    }

    /// The datagram.
    public var bytes: [UInt8] { [kind.rawValue, number] }

    /// Reads a datagram; `nil` for anything that `bytes` does not make.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 2, let kind = Kind(rawValue: bytes[0]) else { return nil }
        self.init(kind, number: bytes[1])
    }
}
