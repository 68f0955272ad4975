import Glibc

/// What the command line tools end with.
public enum ToolExitCode: Int32, Sendable {
    case success = 0
    /// The asked thing failed.
    case failure = 1
    /// Wrong usage.
    case usage = 2
    /// No agent answers.
    case agentNotReachable = 3
    /// Not permitted.
    case notPermitted = 4
}

/// Where things are unless told otherwise.
public enum DefaultPaths {
    /// The agent's run directory.
    public static let runDirectory = "/run/portcullis"
    /// The agent's socket.
    public static let socket = "/run/portcullis/agent.sock"
    /// The run directory of an agent without privileges, in the user's runtime directory (XDG Base Directory).
    public static var userRunDirectory: String { runDirectory(of: geteuid()) }
    /// Where such an agent keeps what outlives it.
    public static var userStateDirectory: String {
        (variable("XDG_STATE_HOME") ?? (variable("HOME") ?? "/nonexistent") + "/.local/state") + "/portcullis"
    }
    /// The socket of the agent that the calling user talks to.
    public static var ownSocket: String { geteuid() == 0 ? socket : userRunDirectory + "/agent.sock" }

    /// The socket for container runtimes of the same agent.
    public static var ownRuntimeSocket: String { runtimeSocket(of: geteuid()) }

    /// The socket for container runtimes of a user's agent.
    public static func runtimeSocket(of user: UInt32) -> String { runDirectory(of: user) + "/runtime.sock" }

    private static func runDirectory(of user: UInt32) -> String {
        user == 0 ? runDirectory : (variable("XDG_RUNTIME_DIR") ?? "/run/user/\(user)") + "/portcullis"
    }

    /// The gateway's socket of the same agent.
    public static var ownGatewaySocket: String { (geteuid() == 0 ? runDirectory : userRunDirectory) + "/grpc.sock" }

    private static func variable(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee == CChar(bitPattern: UInt8(ascii: "/")) else { return nil }
        return String(cString: value)
    }

    /// Environment variable that names another socket.
    public static let socketVariable = "PORTCULLIS_SOCKET"
}
