import Glibc
import LinuxKernel

/// A running worker or front, as the guardian holds it. The descriptors are closed with `close`.
struct RoleProcess {
    var pid: Int32
    /// Readable when it has ended.
    var pidfd: Int32
    /// The guardian's end of the message socket.
    var channel: Int32
    /// The worker has been told to serve its queue.
    var isServing = false

    /// Starts a role: its program with the role as its first arguments, and these descriptors.
    ///
    /// - Parameters:
    ///   - program: the open program; `nil` for the caller's own.
    ///   - channel: closed when the role cannot be started.
    static func start(
        _ role: AgentRole, program: Int32? = nil, _ arguments: [String], _ descriptors: [(Int32, Int32)],
        channel: Int32, _ settings: AgentSettings
    ) throws(KernelError) -> RoleProcess {
        do throws(KernelError) {
            let child = try ProcessLauncher.spawn(
                program: program ?? -1, arguments: ["portcullisd", "--role", role.rawValue] + arguments,
                descriptorMap: descriptors.map { ProcessLauncher.PassedDescriptor(parent: $0.0, child: $0.1) },
                settings: RolePrivileges.settings(of: role, settings))
            return RoleProcess(
                pid: child.pid, pidfd: try Descriptor.duplicating(child.pidDescriptor).release(), channel: channel)
        } catch {
            RawDescriptor.close(channel)
            throw error
        }
    }

    /// By number, which is its own until `close` reaps it.
    func kill() { _ = Glibc.kill(pid, SIGKILL) }

    func waitForExit(timeoutMilliseconds: Int32) -> Bool {
        Readiness.wait(pidfd, timeoutMilliseconds: timeoutMilliseconds)
        return Readiness.isReadable(pidfd)
    }

    /// Reaps the process when it has ended, and closes what belongs to it.
    func close() {
        ProcessControl.reap(pid)
        RawDescriptor.close(pidfd)
        RawDescriptor.close(channel)
    }
}

/// Limits of a worker that others count on.
enum WorkerLimits {
    /// RLIMIT_NOFILE: after its death each of its descriptor numbers is answered once.
    static let descriptors: Int32 = 16384
}

/// Slows restarts down when a role ends again and again: at once for the first few, then with a pause.
struct RestartBudget {
    private static let burst = 200
    private static let refillNanoseconds: UInt64 = 200_000_000
    private var left = burst
    private var refilledAt: UInt64 = 0

    mutating func pauseIfExhausted() {
        let now = KernelClock.monotonic
        if refilledAt == 0 { refilledAt = now }
        let refill = Int((now - refilledAt) / Self.refillNanoseconds)
        if refill > 0 {
            left = min(Self.burst, left + refill)
            refilledAt = now
        }
        if left > 0 { left -= 1 } else { usleep(500_000) }
    }
}

/// Lines on standard error, in the form that tools for KubeArmor look for: time, level, text.
package enum AgentLog {
    package static func info(_ text: String) { write("INFO", text) }
    package static func warning(_ text: String) { write("WARN", text) }
    package static func error(_ text: String) { write("ERROR", text) }

    private static func write(_ level: String, _ text: String) {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        var stamp = [CChar](repeating: 0, count: 32)
        let length = strftime(&stamp, stamp.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
        let line =
            String(decoding: stamp.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            + "\t\(level)\t\(text)\n"
        var bytes = Array(line.utf8)
        // A reader that has gone must not hold the agent up; the line is lost then.
        _ = bytes.withUnsafeMutableBytes { Glibc.write(2, $0.baseAddress, $0.count) }
    }
}
