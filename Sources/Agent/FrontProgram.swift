import AgentCore
import LinuxKernel

/// Entry into the front, the role of `portcullisd` itself.
enum FrontProgram {
    /// Runs the front in a process that the guardian started. Returns the exit code.
    ///
    /// - Parameter arguments: what follows the role's name on the command line.
    static func run(_ arguments: [String]) -> Int32 {
        RoleStart.run(.front) { settings throws(KernelError) in
            let front = try Front(
                settings: settings, hasAlertsFile: arguments.first == "1",
                replaces: arguments.dropFirst().first == "1", hasGateway: arguments.dropFirst(2).first == "1")
            try SelfFilter.install(refusal: .permissionDenied, denying: [.execution, .fanotify, .nonUnixSockets])
            return front.run()
        }
    }
}
