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
            let memory = try SealedRegion.seal(settings.encoded(), name: "portcullis-settings")
            let passed = GuardianDescriptors(settings: memory, frontProgram: front.descriptor.raw)
            let error = core.become(
                arguments: ["portcullisd", "--role", AgentRole.guardian.rawValue] + passed.arguments + arguments,
                keeping: [passed.settings, passed.frontProgram])
            FileHandleText.writeError("portcullisd: \(core.path): \(KernelError.message(error))")
        } catch {
            FileHandleText.writeError("portcullisd: \(error)")
        }
        return 1
    }
}
