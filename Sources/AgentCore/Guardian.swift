import EventRing
import FileEnforcement
import Glibc
import LinuxKernel

/// The guardian: starts worker and front, holds every kernel descriptor with them, answers what a dead worker left
/// unanswered, starts a new one, and answers events that are held too long. It parses nothing but fixed-size messages.
final class Guardian {
    private let settings: AgentSettings
    private let settingsMemory: Int32
    /// The open program of the front: the one this guardian began with, whatever is installed meanwhile.
    private let frontProgram: Int32
    private let board: StatusBoard
    private let boardMemory: Int32
    private let blockRing: Int32
    private let eventRing: Int32
    private let rings: [SharedRing]
    private var incarnation: UInt64 = 0
    private let ringWake: Int32
    private let controlSocket: Int32
    private let runtimeSocket: Int32
    private var alertsFile: Int32
    /// Permission groups, oldest first; the last one is current.
    private var groups: [Int32]
    /// The permission group of containers; negative for none.
    private let containerGroup: Int32
    private var estate = WorkerEstate()
    /// Workers in other user namespaces.
    private var namespaces: NamespaceWorkers
    /// The two ends of the sockets between the roles; kept so that a role can be replaced without its peer noticing.
    private let workerEnd: Int32
    private let frontEnd: Int32
    private var worker: RoleProcess?
    private var front: RoleProcess?
    private let caretaker: Caretaker
    private let broker: PolicyFileBroker
    private var frontStarts = RestartBudget()
    private var workerStarts = RestartBudget()
    private var lastHeartbeat: UInt64 = 0
    private var heartbeatSince: UInt64 = 0
    private var isReady = false
    private var orphan: OrphanedWorker?
    private var gateway: GatewayKeeper?
    private var finder: FinderKeeper?
    private var startError: String?
    /// When a role that could not be started is tried again, CLOCK_MONOTONIC, and why it could not be; empty when all are there.
    private var retryAt: UInt64 = 0
    private var obstacle = ""
    /// Nanoseconds between two tries.
    private static let retryPause: UInt64 = 200_000_000

    /// Everything that can fail does so here, before a process is started or a mark is set.
    ///
    /// - Parameter passed: what this process was started with.
    init(settings: AgentSettings, passed: GuardianDescriptors) throws(KernelError) {
        self.settings = settings
        (settingsMemory, frontProgram) = (passed.settings, passed.frontProgram)
        boardMemory = try SharedMemory.create(name: "portcullis-board", size: StatusBoard.size).release()
        board = try SharedRegions.board(boardMemory)
        let (block, event) = (
            try SharedRegions.createRing("portcullis-block"), try SharedRegions.createRing("portcullis-event")
        )
        (blockRing, eventRing, rings) = (block.descriptor, event.descriptor, [block.ring, event.ring])
        ringWake = try EventDescriptor.make()
        groups = !settings.usesEvents ? [] : [try FileEnforcer.makeGroup().release()]
        containerGroup = settings.usesEvents ? try FileEnforcer.makeGroup().release() : -1
        controlSocket = try UnixSocket.listen(
            path: settings.effectiveSocketPath, mode: 0o600, replacingStale: true
        ).release()
        runtimeSocket = try UnixSocket.listen(
            path: settings.runtimeSocketPath, mode: 0o600, replacingStale: true
        ).release()
        alertsFile = try AlertsFile.open(settings)
        (workerEnd, frontEnd) = try Channel.pair()
        caretaker = try Caretaker(board: board, failures: settings.failures)
        broker = try PolicyFileBroker(paths: settings.policyPaths)
        board.set(.guardianProcess, UInt64(getpid()))
        orphan = OrphanedWorker(settings)
        gateway = try GatewayKeeper(settings, program: passed.gatewayProgram)
        finder = FinderKeeper(settings, program: passed.finderProgram)
        namespaces = NamespaceWorkers(
            NamespaceWorkers.Shared(
                settings: settings, settingsMemory: settingsMemory, blockRing: blockRing, eventRing: eventRing,
                rings: rings, ringWake: ringWake))
    }

    /// Runs until asked to stop. Returns the exit code.
    func run() -> Int32 {
        do {
            let signals = try SignalDescriptor([SIGTERM, SIGINT, SIGHUP])
            try RolePrivileges.dropGuardian(settings)
            try caretaker.start()
            try startFront()
            try startWorker()
            return try loop(signals)
        } catch {
            AgentLog.error("\(error)")
            end()
            return 1
        }
    }

    // MARK: - Loop

    private func loop(_ signals: borrowing SignalDescriptor) throws(KernelError) -> Int32 {
        while true {
            var poll = PollSet()
            for descriptor in [
                signals.descriptor.raw, worker?.pidfd ?? -1, front?.pidfd ?? -1, worker?.channel ?? -1,
                front?.channel ?? -1,
            ] { poll.add(descriptor, .readable) }
            for descriptor in (gateway?.descriptors ?? []) + namespaces.descriptors { poll.add(descriptor, .readable) }
            // The watchdog looks at a held event several times within its deadline.
            _ = poll.wait(timeoutMilliseconds: Int32(max(20, min(100, settings.deadlineMilliseconds / 8))))
            if poll.isReady(0) {
                switch try signals.next()?.number {
                case SIGHUP:
                    // Whoever moved the alerts file away (logrotate) says so by the same signal.
                    if settings.alertsPath != "-" { replaceAlerts(with: AlertsFile.open) }
                    broker.scan()
                case SIGTERM, SIGINT:
                    end()
                    return 0
                default: break
                }
            }
            if poll.isReady(3) { readWorker() }
            if poll.isReady(4), let code = readFront() { return code }
            if poll.isReady(1) { workerDied() }
            if poll.isReady(2), let code = frontDied() { return code }
            startMissing()
            watch()
            namespaces.tick()
            guard isReady else { continue }
            gateway?.tick(front: front?.channel)
            finder?.tick()
        }
    }

    private func watch() {
        let now = KernelClock.monotonic
        let deadline = UInt64(settings.deadlineMilliseconds) * 1_000_000
        let since = board.value(.busySince)
        if since != 0, now > since, now - since > deadline {
            let descriptor = Int32(truncatingIfNeeded: board.value(.busyDescriptor))
            var answered = false
            for group in allGroups {
                answered =
                    Fanotify.respond(
                        group: group, descriptor: descriptor, allow: settings.failures.allows(.deadlineExpired)) == 0
                    || answered
            }
            if answered { board.count(.deadlineExpired) }
        }
        let held = HeldCalls(board: board, listeners: estate.listeners, failures: settings.failures)
        for _ in 0..<held.answerOverdue(at: now, deadline: deadline) { board.count(.deadlineExpired) }
        let heartbeat = board.value(.heartbeat)
        if heartbeat != lastHeartbeat || !allGroups.contains(where: { Readiness.isReadable($0) }) {
            lastHeartbeat = heartbeat
            heartbeatSince = now
        } else if worker?.isServing == true, now - heartbeatSince > deadline, let process = worker {
            AgentLog.warning("the worker does not answer; it is replaced")
            heartbeatSince = now
            process.kill()
        }
    }

    // MARK: - Worker

    private var allGroups: [Int32] { containerGroup >= 0 ? groups + [containerGroup] : groups }

    private func startWorker() throws(KernelError) {
        caretaker.hold(groups, containers: containerGroup)
        let (ours, theirs) = try Channel.pair()
        defer { RawDescriptor.close(theirs) }
        var map: [(Int32, Int32)] = [
            (settingsMemory, RoleDescriptor.settings), (theirs, RoleDescriptor.guardian),
            (boardMemory, RoleDescriptor.board), (workerEnd, RoleDescriptor.peer),
            (blockRing, RoleDescriptor.blockRing), (eventRing, RoleDescriptor.eventRing),
            (ringWake, RoleDescriptor.ringWake),
        ]
        if let current = groups.last { map.append((current, RoleDescriptor.primary)) }
        if estate.snapshot >= 0 { map.append((estate.snapshot, RoleDescriptor.secondary)) }
        if containerGroup >= 0 { map.append((containerGroup, RoleDescriptor.containers)) }
        for (index, group) in groups.dropLast().enumerated() {
            map.append((group, RoleDescriptor.firstRetiring + Int32(index)))
        }
        worker = try RoleProcess.start(
            .worker, [String(max(0, groups.count - 1)), estate.snapshot >= 0 ? "1" : "0", String(incarnation)], map,
            channel: ours,
            settings)
        guard let process = worker else { return }
        board.set(.workerProcess, UInt64(process.pid))
        AgentFiles.writePid(process.pid, role: .worker, settings)
    }

    private func readWorker() {
        guard let process = worker else { return }
        while let (message, descriptor) = Channel.receive(process.channel) {
            switch message.kind {
            case .restored: estate.bequeathContainers(to: process.channel)
            case .ready: serve(process)
            case .holdGroup:
                if let descriptor {
                    groups.append(descriptor)
                    Channel.send(process.channel, ChannelMessage(.groupHeld))
                    continue
                }
            case .dropGroup:
                if groups.count > 1 { RawDescriptor.close(groups.removeFirst()) }
            default: if estate.take(message, descriptor, of: process.channel) { continue }
            }
            if let descriptor { RawDescriptor.close(descriptor) }
        }
    }

    /// Hands the events that came while there was no worker to the new one, answers them as it says, and then lets it serve
    /// the queue. In this order: an event is answered by its descriptor's number, and the worker's own numbers may be equal.
    private func serve(_ process: RoleProcess) {
        // First the trees: whose an event is decides which rules hold for it.
        estate.bequeathListeners(to: process.channel)
        let held = caretaker.release()
        let allow = settings.failures.allows(.workerLost)
        var answers = true
        for event in held {
            var verdict = allow
            if answers, Channel.send(process.channel, event.message, descriptor: event.descriptor),
                let answer = Channel.receive(
                    process.channel, kind: .adoptedVerdict, timeoutMilliseconds: Int32(settings.deadlineMilliseconds))
            {
                verdict = answer.text.first == 1
                board.add(.adoptedEvents)
            } else {
                board.count(.workerLost)
                // It stands already; the next one gets what comes from now on.
                answers = false
            }
            _ = Fanotify.respond(group: event.group, descriptor: event.descriptor, allow: verdict)
            RawDescriptor.close(event.descriptor)
        }
        guard answers, Channel.send(process.channel, ChannelMessage(.serve)) else {
            AgentLog.warning("the worker does not answer; it is replaced")
            return process.kill()
        }
        worker?.isServing = true
        heartbeatSince = KernelClock.monotonic
    }

    private func workerDied() {
        guard let process = worker else { return }
        process.close()
        worker = nil
        board.set(.workerProcess, 0)
        board.set(.busySince, 0)
        HeldCalls.settle(board, &estate, settings.failures)
        RingOwner.giveUp(incarnation, rings)
        incarnation += 1
        // The kernel finds an unanswered event by the number of its descriptor in the dead worker, which nobody knows any
        // more: every number it could have had is answered.
        let allow = settings.failures.allows(.workerLost)
        for group in allGroups {
            for descriptor in 0..<WorkerLimits.descriptors
            where Fanotify.respond(group: group, descriptor: descriptor, allow: allow) == 0 {
                board.count(.workerLost)
            }
        }
        AgentLog.warning("the worker has ended; a new one is started")
        board.add(.workerRestarts)
        workerStarts.pauseIfExhausted()
    }

    /// Starts anew what has ended. What that needs may be scarce for a while (memory, processes, open files of the whole machine): it is
    /// tried again, as without the guardian there would be no rules at all. Meanwhile what nobody decides is denied.
    private func startMissing() {
        guard worker == nil || front == nil, KernelClock.monotonic >= retryAt else { return }
        do {
            if worker == nil {
                try startWorker()
                notifyFront(.roleStarted, process: 1)
            }
            if front == nil { try startFront() }
            obstacle = ""
        } catch {
            retryAt = KernelClock.monotonic + Self.retryPause
            if worker == nil { caretaker.giveUp() }
            let text = "a role cannot be started: \(error); it is tried again"
            if text != obstacle { AgentLog.error(text) }
            obstacle = text
        }
    }

    // MARK: - Front

    private func startFront() throws(KernelError) {
        let (ours, theirs) = try Channel.pair()
        defer { RawDescriptor.close(theirs) }
        var map: [(Int32, Int32)] = [
            (settingsMemory, RoleDescriptor.settings), (theirs, RoleDescriptor.guardian),
            (boardMemory, RoleDescriptor.board), (frontEnd, RoleDescriptor.peer),
            (blockRing, RoleDescriptor.blockRing), (eventRing, RoleDescriptor.eventRing),
            (ringWake, RoleDescriptor.ringWake), (controlSocket, RoleDescriptor.primary),
            (runtimeSocket, RoleDescriptor.runtimes),
        ]
        if alertsFile >= 0 { map.append((alertsFile, RoleDescriptor.secondary)) }
        if let gateway { map.append((gateway.wake, RoleDescriptor.spoolWake)) }
        front = try RoleProcess.start(
            .front, program: frontProgram,
            [alertsFile >= 0 ? "1" : "0", isReady ? "1" : "0", gateway == nil ? "0" : "1"], map,
            channel: ours,
            settings)
        guard let process = front else { return }
        board.set(.frontProcess, UInt64(process.pid))
        AgentFiles.writePid(process.pid, role: .front, settings)
        namespaces.serve(front: process.channel)
        try broker.serve(process.channel)
        gateway?.connect(front: process.channel)
    }

    private func readFront() -> Int32? {
        guard let process = front else { return nil }
        while let (message, descriptor) = Channel.receive(process.channel) {
            if let descriptor { RawDescriptor.close(descriptor) }
            switch message.kind {
            case .findNamespace: namespaces.find(of: message, front: process.channel)
            case .dropNamespace: namespaces.drop(message.number)
            case .scanPolicies: broker.scan()
            case .rotateAlerts:
                // Asked twice, or by a front that lies, it must not push the old files out.
                if AlertsFile.isFull(alertsFile, settings) { replaceAlerts(with: AlertsFile.rotate) }
            case .frontReady:
                if !isReady {
                    isReady = true
                    AgentLog.info("Started to protect a host (generation \(message.number))")
                    orphan?.end()
                    orphan = nil
                    ServiceManager.notifyReady()
                }
            case .startFailed: startError = message.string
            case .unlock:
                AgentLog.warning("unlocked: enforcement ends")
                end(forGood: true)
                return 0
            default: break
            }
        }
        return nil
    }

    private func frontDied() -> Int32? {
        guard let process = front else { return nil }
        _ = readFront()
        process.close()
        front = nil
        board.set(.frontProcess, 0)
        if !isReady {
            // It has said why on standard error.
            end()
            return 1
        }
        AgentLog.warning("the front has ended; a new one is started")
        board.add(.frontRestarts)
        frontStarts.pauseIfExhausted()
        return nil
    }

    private func replaceAlerts(with make: (AgentSettings) throws(KernelError) -> Int32) {
        guard alertsFile >= 0 else { return }
        do {
            let fresh = try make(settings)
            RawDescriptor.close(alertsFile)
            alertsFile = fresh
            if let channel = front?.channel { Channel.send(channel, ChannelMessage(.alertsFile), descriptor: fresh) }
        } catch {
            AgentLog.warning("the alerts file stays as it is: \(error)")
        }
    }

    private func notifyFront(_ kind: ChannelMessage.Kind, process: UInt8) {
        guard let channel = front?.channel else { return }
        Channel.send(
            channel, ChannelMessage(kind, number: board.value(.workerProcess), text: [process]))
    }

    // MARK: - End

    /// Stops both roles and removes what the agent has put into the run directory.
    /// - Parameter forGood: nothing that was put into the kernel is to stay.
    private func end(forGood: Bool = false) {
        let stop = ChannelMessage(.stop, number: forGood ? Worker.stopForGood : 0)
        for process in [front, worker].compactMap({ $0 }) { Channel.send(process.channel, stop) }
        for process in [front, worker].compactMap({ $0 }) {
            if !process.waitForExit(timeoutMilliseconds: 2000) { process.kill() }
            process.close()
        }
        namespaces.end(stop)
        gateway?.end()
        finder?.end()
        AgentFiles.removeRunFiles(settings)
    }
}
