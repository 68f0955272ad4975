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
            let gateway = settings.usesGateway ? open("portcullis-gateway", without: "gRPC is off") : -1
            // Without events nothing that runs already can be held.
            let finder =
                settings.findsContainers && settings.usesEvents && !settings.isRootless
                ? open("portcullis-hook", without: "containers that run are not looked for") : -1
            var settings = settings
            settings.usesGateway = gateway >= 0
            let memory = try SealedRegion.seal(settings.encoded(), name: "portcullis-settings")
            let passed = GuardianDescriptors(
                settings: memory, frontProgram: front.descriptor.raw, gatewayProgram: gateway,
                finderProgram: finder)
            let error = core.become(
                arguments: ["portcullisd", "--role", AgentRole.guardian.rawValue] + passed.arguments + arguments,
                keeping: [passed.settings, passed.frontProgram]
                    + [gateway, finder].filter { $0 >= 0 })
            FileHandleText.writeError("portcullisd: \(core.path): \(KernelError.message(error))")
        } catch {
            FileHandleText.writeError("portcullisd: \(error)")
        }
        return 1
    }

    /// A program, or -1: an agent without it enforces all the same.
    ///
    /// - Parameter loss: what is lost then.
    private static func open(_ name: String, without loss: String) -> Int32 {
        do {
            let program = try CompanionProgram.find(name)
            return try program.descriptor.duplicate().release()
        } catch {
            AgentLog.warning("\(loss): \(error)")
            return -1
        }
    }
}
