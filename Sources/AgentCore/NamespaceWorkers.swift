import EventRing
import FileEnforcement
import Glibc
import LinuxKernel

/// The guardian's part for workers in other user namespaces (docs/adr/0019): one for each, started when the first container of the namespace comes, and
/// replaced when it dies. Such a worker has no events to answer: what it holds are listeners.
struct NamespaceWorkers {
    /// What all workers have in common.
    struct Shared {
        var settings: AgentSettings
        var settingsMemory: Int32
        var blockRing: Int32
        var eventRing: Int32
        var rings: [SharedRing]
        var ringWake: Int32
    }

    /// Most at once.
    static let limit = 8
    /// Where their numbers among the owners of lanes begin; the agent's own workers count up from 0.
    private static let firstIncarnation: UInt64 = 1 << 40

    private let shared: Shared
    private var members: [Member] = []
    private var count: UInt64 = 0
    private var incarnations = Self.firstIncarnation

    init(_ shared: Shared) { self.shared = shared }

    /// For the guardian's poll.
    var descriptors: [Int32] { members.flatMap { [$0.process?.pidfd ?? -1, $0.process?.channel ?? -1] } }

    /// Answers a front that asks where a container's process is; starts a worker there if there is none.
    mutating func find(of question: ChannelMessage, front: Int32) {
        let answer: String
        do throws(KernelError) { answer = String(try find(Int32(question.string) ?? 0, front: front)) } catch {
            answer = "no worker in the container's user namespace: \(error)"
        }
        Channel.send(front, ChannelMessage(.namespace, number: question.number, text: answer))
    }

    private mutating func find(_ process: Int32, front: Int32) throws(KernelError) -> UInt64 {
        guard process > 1 else { throw KernelError("find the container's process", errno: ESRCH) }
        let namespace = try UserNamespace(of: process)
        if namespace.identity == (try UserNamespace(of: getpid())).identity { return 0 }
        if let known = members.first(where: { $0.identity == namespace.identity }) { return known.number }
        guard members.count < Self.limit else {
            throw KernelError("start a worker in one more user namespace", errno: EUSERS)
        }
        count += 1
        let member = try Member(count, namespace, shared)
        try member.start(next())
        members.append(member)
        member.introduce(to: front)
        return member.number
    }

    private mutating func next() -> UInt64 {
        incarnations += 1
        return incarnations
    }

    /// Tells a new front of the workers there are.
    func serve(front: Int32) { for member in members { member.introduce(to: front) } }

    /// Reads what they say, answers what they hold for too long, and replaces those that have died.
    mutating func tick() {
        for member in members {
            member.read()
            member.answerOverdue()
            if member.hasEnded { member.ended() }
            guard member.process == nil, KernelClock.monotonic >= member.startAt else { continue }
            do { try member.start(next()) } catch { AgentLog.error("\(error)") }
        }
    }

    /// Ends one that nobody needs any more.
    mutating func drop(_ number: UInt64) {
        for member in members where member.number == number { member.end(ChannelMessage(.stop)) }
        members.removeAll { $0.number == number }
    }

    /// Ends all.
    mutating func end(_ stop: ChannelMessage) {
        for member in members { member.end(stop) }
        members = []
    }
}

extension NamespaceWorkers {
    /// One worker, whichever process it is at the moment.
    final class Member {
        let number: UInt64
        let identity: UserNamespace.Identity
        private let shared: Shared
        private let namespace: Int32
        private let board: StatusBoard
        private let boardMemory: Int32
        /// The two ends of the socket between it and the front.
        private let workerEnd: Int32
        private let frontEnd: Int32
        private var estate = WorkerEstate()
        private var incarnation: UInt64 = 0
        private(set) var process: RoleProcess?
        /// When the next one may start, CLOCK_MONOTONIC.
        private(set) var startAt: UInt64 = 0
        /// After a worker's death; a namespace that nobody can enter any more must not keep the guardian busy.
        private static let pause: UInt64 = 100_000_000

        init(_ number: UInt64, _ namespace: borrowing UserNamespace, _ shared: Shared) throws(KernelError) {
            (self.number, identity, self.shared) = (number, namespace.identity, shared)
            self.namespace = try Descriptor.duplicating(namespace.raw).release()
            boardMemory = try SharedMemory.create(name: "portcullis-board", size: StatusBoard.size).release()
            board = try SharedRegions.board(boardMemory)
            board.set(.guardianProcess, UInt64(getpid()))
            (workerEnd, frontEnd) = try Channel.pair()
        }

        /// - Parameter incarnation: its number among the owners of lanes.
        func start(_ incarnation: UInt64) throws(KernelError) {
            startAt = KernelClock.monotonic + Self.pause
            self.incarnation = incarnation
            let (ours, theirs) = try Channel.pair()
            defer { RawDescriptor.close(theirs) }
            var map: [(Int32, Int32)] = [
                (shared.settingsMemory, RoleDescriptor.settings), (theirs, RoleDescriptor.guardian),
                (boardMemory, RoleDescriptor.board), (workerEnd, RoleDescriptor.peer),
                (shared.blockRing, RoleDescriptor.blockRing), (shared.eventRing, RoleDescriptor.eventRing),
                (shared.ringWake, RoleDescriptor.ringWake), (namespace, RoleDescriptor.namespace),
            ]
            if estate.snapshot >= 0 { map.append((estate.snapshot, RoleDescriptor.secondary)) }
            process = try RoleProcess.start(
                .visitor, ["0", estate.snapshot >= 0 ? "1" : "0", String(incarnation)], map, channel: ours,
                shared.settings)
            board.set(.workerProcess, UInt64(process?.pid ?? 0))
        }

        /// Has a front know of it.
        func introduce(to front: Int32) {
            Channel.send(front, ChannelMessage(.namespaceBoard, number: number), descriptor: boardMemory)
            Channel.send(front, ChannelMessage(.namespaceWorker, number: number), descriptor: frontEnd)
        }

        /// Takes what it has to say.
        func read() {
            guard let channel = process?.channel else { return }
            while let (message, descriptor) = Channel.receive(channel) {
                switch message.kind {
                case .restored: estate.bequeathContainers(to: channel)
                case .ready:
                    estate.bequeathListeners(to: channel)
                    Channel.send(channel, ChannelMessage(.serve))
                default: if estate.take(message, descriptor, of: channel) { continue }
                }
                if let descriptor { RawDescriptor.close(descriptor) }
            }
        }

        func answerOverdue() {
            let held = HeldCalls(board: board, listeners: estate.listeners, failures: shared.settings.failures)
            let deadline = UInt64(shared.settings.deadlineMilliseconds) * 1_000_000
            for _ in 0..<held.answerOverdue(at: KernelClock.monotonic, deadline: deadline) {
                board.count(.deadlineExpired)
            }
        }

        var hasEnded: Bool { process.map { Readiness.isReadable($0.pidfd) } ?? false }

        /// It has died: what it held is answered.
        func ended() {
            process?.close()
            process = nil
            HeldCalls.settle(board, &estate, shared.settings.failures)
            RingOwner.giveUp(incarnation, shared.rings)
            board.add(.workerRestarts)
            AgentLog.warning("the worker in user namespace \(number) has ended; a new one is started")
        }

        func end(_ stop: ChannelMessage) {
            if let process {
                Channel.send(process.channel, stop)
                if !process.waitForExit(timeoutMilliseconds: 2000) {
                    process.kill()
                    _ = process.waitForExit(timeoutMilliseconds: 2000)
                }
                process.close()
            }
            process = nil
            RingOwner.giveUp(incarnation, shared.rings)
            estate.close()
            for descriptor in [namespace, boardMemory, workerEnd, frontEnd] { RawDescriptor.close(descriptor) }
        }
    }
}
