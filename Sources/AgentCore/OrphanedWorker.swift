import Glibc
import LinuxKernel

/// The worker of an agent whose guardian has ended. It still enforces the rules it has; a new agent ends it once its own are in
/// force, so that there is no moment without rules.
struct OrphanedWorker {
    private let pid: Int32
    private let descriptor: Int32

    /// The worker that the pid file names, if it is one; nothing is in the way of a start otherwise. To be called by the holder
    /// of the lock, before it starts a worker of its own.
    init?(_ settings: AgentSettings) {
        guard let pid = AgentFiles.readPid(role: .worker, settings),
            let process = try? ProcessDescriptor.open(pid), Self.isWorker(pid)
        else { return nil }
        self.pid = pid
        descriptor = process.release()
    }

    private static func isWorker(_ pid: Int32) -> Bool {
        let start = Array("portcullisd\0--role\0\(AgentRole.worker.rawValue)\0".utf8)
        return withUnsafeTemporaryAllocation(byteCount: 256, alignment: 8) { buffer in
            let length = ProcFS.commandLine(of: pid, into: buffer)
            return length >= start.count && start.elementsEqual(buffer[0..<start.count])
        }
    }

    /// Ends the worker. What it had not answered is decided by the new one alone, which was asked too.
    func end() {
        let result = ProcessDescriptor.sendSignal(SIGKILL, to: descriptor)
        RawDescriptor.close(descriptor)
        if result == 0 {
            AgentLog.warning("took over from an agent whose guardian had ended (worker \(pid))")
        } else {
            AgentLog.error("the worker \(pid) of an agent before cannot be ended: \(KernelError.message(-result))")
        }
    }
}
