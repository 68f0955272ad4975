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
    /// Environment variable that names another socket.
    public static let socketVariable = "PORTCULLIS_SOCKET"
}
