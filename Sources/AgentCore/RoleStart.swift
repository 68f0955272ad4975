import Glibc
import LinuxKernel

/// What every role does first, in whatever program it is.
package enum RoleStart {
    /// Reads the settings, checks what the process may do, and runs the role.
    ///
    /// - Parameter settings: where the sealed settings are.
    /// - Returns: the exit code; what went wrong is on standard error.
    package static func run(
        _ role: AgentRole, settings: Int32 = RoleDescriptor.settings,
        _ body: (AgentSettings) throws(KernelError) -> Int32
    ) -> Int32 {
        signal(SIGPIPE, SIG_IGN)
        guard let bytes = SealedRegion.contents(of: settings) else {
            FileHandleText.writeError("portcullisd: --role is for the agent itself")
            return 2
        }
        guard let settings = AgentSettings(encoded: bytes) else {
            FileHandleText.writeError(
                "portcullisd: its programs are not of one release: the installation is incomplete")
            return 1
        }
        do {
            // A program that is executed by its descriptor is shown by the descriptor's number.
            KernelThread.setCurrentName(role == .guardian ? "portcullisd" : "portcullis-\(role.rawValue.prefix(4))")
            try ProcFS.prepare()
            if role != .guardian {
                // Signals of a terminal are for the guardian, which ends its roles in order.
                try SignalDescriptor.block([SIGINT, SIGTERM, SIGHUP])
            }
            if role == .visitor { try UserNamespace.enter(RoleDescriptor.namespace) }
            try RolePrivileges.verify(role, settings)
            return try body(settings)
        } catch {
            FileHandleText.writeError("portcullisd: \(role.rawValue): \(error)")
            return 1
        }
    }
}
