import LinuxKernel
import Synchronization

/// How the thread that writes alerts gets a new file: the front may not open one, so it asks the guardian and waits until the
/// front's loop hands the answer over.
final class AlertsFileHandoff: Sendable {
    private let answer = Mutex<Int32>(-1)
    private let wake: Int32
    private static let patienceMilliseconds: Int32 = 2000

    init() throws(KernelError) { wake = try EventDescriptor.make() }

    /// Asks for a new file; `nil` when none came. Called by the writing thread.
    func request() -> Int32? {
        guard Channel.send(RoleDescriptor.guardian, ChannelMessage(.rotateAlerts)) else { return nil }
        Readiness.wait(wake, timeoutMilliseconds: Self.patienceMilliseconds)
        EventDescriptor.drain(wake)
        let descriptor = answer.withLock { current -> Int32 in
            defer { current = -1 }
            return current
        }
        return descriptor >= 0 ? descriptor : nil
    }

    /// Takes over the guardian's answer. Called by the front's loop.
    func deliver(_ descriptor: Int32) {
        let unused = answer.withLock { current -> Int32 in
            defer { current = descriptor }
            return current
        }
        RawDescriptor.close(unused)
        EventDescriptor.signal(wake)
    }
}
