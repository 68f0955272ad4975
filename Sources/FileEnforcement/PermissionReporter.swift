import EventRing
import LinuxKernel
import PolicyEngine

/// Builds the record of a reported event while its caller still waits, and publishes it after the answer. Block alerts have a
/// ring of their own, so that a flood of audits cannot hide them.
public struct PermissionReporter {
    private let blockRing: RingProducer
    private let eventRing: RingProducer
    private let wake: Int32
    private var writer: EventWriter
    private var isBlock = false
    private let ownProcesses: OwnProcesses
    private let cwdBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4200, alignment: 8)

    /// - Parameter wake: eventfd of the consumer.
    public init(blockRing: RingProducer, eventRing: RingProducer, wake: Int32, ownProcesses: OwnProcesses) {
        self.blockRing = blockRing
        self.eventRing = eventRing
        self.wake = wake
        self.ownProcesses = ownProcesses
        writer = EventWriter()
    }

    /// Whether a process is one of the agent's own.
    func isOwn(_ pid: Int32) -> Bool { pid != 0 && ownProcesses.contains(pid) }
}

/// Process ids of guardian, worker and front: let through whatever the rules say, or the agent would wait for itself.
public struct OwnProcesses: Sendable {
    private let board: StatusBoard

    /// Reads the ids from the board, where the guardian keeps them current.
    public init(board: StatusBoard) { self.board = board }

    func contains(_ pid: Int32) -> Bool {
        let id = UInt64(UInt32(bitPattern: pid))
        return board.value(.guardianProcess) == id || board.value(.workerProcess) == id
            || board.value(.frontProcess) == id
    }
}
