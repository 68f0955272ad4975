import AgentCore
import LinuxKernel

/// The step from `portcullisd`, which has read options and configuration, to the guardian, which reads neither.
enum GuardianHandover {
    /// Becomes the guardian.
    ///
    /// - Parameter arguments: shown by ps(1) behind the role.
    /// - Returns: the exit code, when that failed.
    static func become(_ settings: AgentSettings, _ arguments: [String]) -> Int32 {
        do {
            let core = try CompanionProgram.find("portcullis-core")
            let front = try CompanionProgram.own()
            let gateway = settings.usesGateway ? openGateway() : -1
            var settings = settings
            settings.usesGateway = gateway >= 0
            let memory = try SealedRegion.seal(settings.encoded(), name: "portcullis-settings")
            let passed = GuardianDescriptors(
                settings: memory, frontProgram: front.descriptor.raw, gatewayProgram: gateway)
            let error = core.become(
                arguments: ["portcullisd", "--role", AgentRole.guardian.rawValue] + passed.arguments + arguments,
                keeping: [passed.settings, passed.frontProgram] + (gateway >= 0 ? [gateway] : []))
            FileHandleText.writeError("portcullisd: \(core.path): \(KernelError.message(error))")
        } catch {
            FileHandleText.writeError("portcullisd: \(error)")
        }
        return 1
    }

    /// The gateway's program, or -1: an agent without one enforces all the same.
    private static func openGateway() -> Int32 {
        do {
            let program = try CompanionProgram.find("portcullis-gateway")
            return try program.descriptor.duplicate().release()
        } catch {
            AgentLog.warning("gRPC is off: \(error)")
            return -1
        }
    }
}
