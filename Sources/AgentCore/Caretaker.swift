import FileEnforcement
import Glibc
import LinuxKernel
import Synchronization

/// Looks after the permission groups while there is no worker: a thread of the guardian that lets the agent's own processes
/// through (starting a worker is itself an execution that may be asked about) and keeps every other event for the next worker.
final class Caretaker: Sendable {
    /// An event that nobody has decided yet.
    struct HeldEvent: Sendable {
        var group: Int32
        var descriptor: Int32
        var mask: UInt64
        var thread: Int32
        /// It comes of the group of containers.
        var isOfContainers = false

        /// The message that asks the worker: mask, thread and group as little-endian bytes.
        var message: ChannelMessage {
            var text: [UInt8] = []
            for shift in stride(from: 0, to: 64, by: 8) {
                text.append(UInt8(truncatingIfNeeded: mask >> UInt64(shift)))
            }
            for shift in stride(from: 0, to: 32, by: 8) {
                text.append(UInt8(truncatingIfNeeded: UInt32(bitPattern: thread) >> UInt32(shift)))
            }
            text.append(isOfContainers ? 1 : 0)
            return ChannelMessage(.adopt, number: UInt64(UInt32(bitPattern: descriptor)), text: text)
        }

        /// Mask, thread and group of such a message; `nil` when it is too short.
        static func parse(_ message: ChannelMessage) -> (mask: UInt64, thread: Int32, isOfContainers: Bool)? {
            guard message.text.count >= 13 else { return nil }
            var mask: UInt64 = 0
            for index in 0..<8 { mask |= UInt64(message.text[index]) << (8 * UInt64(index)) }
            var thread: UInt32 = 0
            for index in 0..<4 { thread |= UInt32(message.text[8 + index]) << (8 * UInt32(index)) }
            return (mask, Int32(bitPattern: thread), message.text[12] == 1)
        }
    }

    /// Most events kept; more are answered by the failure table.
    static let capacity = 512

    private struct State {
        var groups: [Int32] = []
        /// The one of containers; negative for none.
        var containers: Int32 = -1
        var isHolding = false
        var held: [HeldEvent] = []
        var rounds: UInt64 = 0
    }
    private let state = Mutex(State())
    private let wake: Int32
    private let board: StatusBoard
    private let failures: FailureTable

    init(board: StatusBoard, failures: FailureTable) throws(KernelError) {
        self.board = board
        self.failures = failures
        wake = try EventDescriptor.make()
    }

    func start() throws(KernelError) {
        _ = try KernelThread.start(name: "caretaker") { [self] in run() }
    }

    /// From now on the events of these groups are kept.
    ///
    /// - Parameter containers: the group of containers; negative for none.
    func hold(_ groups: [Int32], containers: Int32) {
        state.withLock {
            $0.groups = containers >= 0 ? [containers] + groups : groups
            $0.containers = containers
            $0.isHolding = true
        }
        EventDescriptor.signal(wake)
    }

    /// Stops keeping and hands over what was kept. When this returns the caretaker reads no group any more.
    func release() -> [HeldEvent] {
        state.withLock { state in
            (state.isHolding, state.groups) = (false, [])
            defer { state.held = [] }
            return state.held
        }
    }

    /// Answers what was kept, when nobody comes to decide it, and goes on keeping.
    func giveUp() {
        state.withLock { state in
            for event in state.held {
                board.count(.workerLost)
                _ = Fanotify.respond(
                    group: event.group, descriptor: event.descriptor, allow: failures.allows(.workerLost))
                RawDescriptor.close(event.descriptor)
            }
            state.held = []
        }
    }

    private func run() {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 24 * 16, alignment: 8)
        while true {
            let groups = state.withLock { $0.isHolding ? $0.groups : [] }
            // Containers have one, the host one, and a reload in progress another; more only follow a worker that died in one.
            Readiness.wait(
                wake, groups.first ?? -1, groups.dropFirst().first ?? -1, groups.dropFirst(2).first ?? -1,
                timeoutMilliseconds: groups.isEmpty ? -1 : 200)
            EventDescriptor.drain(wake)
            for group in groups { keep(group, buffer) }
        }
    }

    private func keep(_ group: Int32, _ buffer: UnsafeMutableRawBufferPointer) {
        // Under the lock, so that `release` never returns while an event is in our hands.
        state.withLock { state in
            // Between the look at the groups and this one may have been closed, and its number be another descriptor's.
            guard state.isHolding, state.groups.contains(group) else { return }
            let length = Fanotify.read(group: group, into: buffer)
            guard length > 0 else { return }
            var events = FanotifyEvents(UnsafeRawBufferPointer(rebasing: buffer[0..<length]))
            while let event = events.next() {
                guard event.descriptor >= 0 else { continue }
                let isOurs = isOwn(event.pid)
                if isOurs || state.held.count >= Self.capacity {
                    if !isOurs { board.count(.workerLost) }
                    _ = Fanotify.respond(
                        group: group, descriptor: event.descriptor, allow: isOurs || failures.allows(.workerLost))
                    RawDescriptor.close(event.descriptor)
                } else {
                    state.held.append(
                        HeldEvent(
                            group: group, descriptor: event.descriptor, mask: event.mask, thread: event.pid,
                            isOfContainers: group == state.containers))
                }
            }
        }
    }

    /// The guardian itself, its roles, and a child that is about to become one.
    private func isOwn(_ thread: Int32) -> Bool {
        var status = ProcessStatus()
        guard ProcFS.status(of: thread, into: &status) == 0 else { return false }
        let me = getpid()
        return status.tgid == me || status.ppid == me
    }
}
