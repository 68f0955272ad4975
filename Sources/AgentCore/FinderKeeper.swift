import Glibc
import LinuxKernel

/// The guardian's part for `portcullis-hook running`, which looks for containers of which no hook tells: starts it, and again when it ends.
struct FinderKeeper {
    private let settings: AgentSettings
    private let program: Int32
    /// Pidfd of the process; negative while there is none.
    private var process: Int32 = -1
    private var startAt: UInt64 = 0
    private static let pause: UInt64 = 5_000_000_000

    /// - Parameter program: its open program; `nil` when there is none.
    init?(_ settings: AgentSettings, program: Int32) {
        guard program >= 0 else { return nil }
        (self.settings, self.program) = (settings, program)
    }

    /// Starts it when it is time; reaps it when it has ended.
    mutating func tick() {
        if process >= 0, Readiness.isReadable(process) {
            reap(block: false)
            AgentLog.warning("what looks for containers has ended; it is started again")
        }
        let now = KernelClock.monotonic
        guard process < 0, now >= startAt else { return }
        startAt = now + Self.pause
        var launch = ProcessLauncher.Settings()
        launch.noNewPrivileges = true
        // It reads what runtimes keep, other users' too.
        (launch.keepCapabilities, launch.boundingSet) = ([.dacReadSearch], [.dacReadSearch])
        launch.deathSignal = SIGKILL
        let places = settings.containerStates.flatMap { ["--states", $0] }
        do {
            let child = try ProcessLauncher.spawn(
                program: program,
                arguments: ["portcullis-hook", "running", "--watch", "yes", "--socket", settings.runtimeSocketPath]
                    + places, settings: launch)
            process = try Descriptor.duplicating(child.pidDescriptor).release()
        } catch { AgentLog.warning("containers that run are not looked for: \(error)") }
    }

    /// Ends it.
    mutating func end() {
        guard process >= 0 else { return }
        _ = ProcessDescriptor.sendSignal(SIGKILL, to: process)
        reap(block: true)
    }

    private mutating func reap(block: Bool) {
        _ = try? ProcessDescriptor.wait(process, block: block)
        RawDescriptor.close(process)
        process = -1
    }
}
