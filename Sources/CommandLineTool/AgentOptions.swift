import ArgumentParser
import ControlProtocol
import Glibc

/// Where the agent is.
struct AgentOptions: ParsableArguments {
    @Option(
        name: .customLong("socket"),
        help: ArgumentHelp(
            "The agent's socket; otherwise $\(DefaultPaths.socketVariable), otherwise \(DefaultPaths.socket), or agent.sock in a user's own runtime directory.",
            valueName: "path"))
    var socketPath: String?

    var socket: String {
        if let socketPath { return socketPath }
        if let variable = getenv(DefaultPaths.socketVariable), variable.pointee != 0 {
            return String(cString: variable)
        }
        return DefaultPaths.ownSocket
    }
}

/// How results are written.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Write JSON instead of text for people.")
    var json = false
}
