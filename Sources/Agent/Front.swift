import AgentCore
import ControlProtocol
import EventRing
import EventSpool
import FileEnforcement
import Glibc
import LinuxKernel
import PolicyEngine
import PolicyLoading
import PolicyModel
import Telemetry
import Workloads

/// The front: parses, compiles, tells. It has no capability, its own user id, and a seccomp filter without execve; whatever a
/// policy file or a client sends meets only this process.
final class Front {
    private let settings: AgentSettings
    private let board: StatusBoard
    private let host: HostWorkload
    private let node: NodeLabels
    private let telemetry: TelemetryPipeline
    private let feed: AlertFeed
    private let subscribers: SubscriberSink
    private let alerts: DescriptorSink?
    private let pipeline: PolicyPipeline
    private let pipelines: NamespacePipelines
    private let server: ControlServer
    private let saved: AppliedPolicyFiles
    private lazy var changes = PolicyChanges(
        pipeline: pipeline, saved: saved, filtersPackets: settings.filtersPackets
    ) { [unowned self] in logGaps() }
    private let treeFiles: TreePolicyFiles
    private let runtimes: RuntimeServer
    private let registry: ContainerRegistry
    private var containers: ContainerDesk?
    private var scan: [String: LoadResult] = [:]
    private var isStarted: Bool
    /// A front that replaces another found a policy file that does not load: what that file had is in force, but not known
    /// here, so nothing is put in force until the file is mended.
    private var lacksFiles = false
    private var gapLog = GapLog()
    /// A question to the worker.
    private struct Launch {
        var candidate: TreeKeeper.Candidate
        /// Who waits for the answer; `nil` for a container's runtime, which does not.
        var client: ControlServer.Client?
        /// A container's listener; the front's until there is an answer.
        var listener: Int32?
        /// The worker that is asked.
        var worker = RoleDescriptor.peer
    }

    /// Clients for whose program somebody waits to be supervised, by the number of the question to the worker.
    private var launches: [UInt64: Launch] = [:]
    private var launchCount: UInt64 = 0
    /// A start that failed: the exit code.
    private var exitCode: Int32?

    /// - Parameter replaces: the agent enforces already; this front takes over from one that died.
    init(settings: AgentSettings, hasAlertsFile: Bool, replaces: Bool, hasGateway: Bool) throws(KernelError) {
        self.settings = settings
        isStarted = replaces
        board = try SharedRegions.board(RoleDescriptor.board)
        host = HostWorkload(configured: settings.host)
        node = NodeLabels(host: host.name, further: settings.nodeLabels)
        subscribers = SubscriberSink(wake: RoleDescriptor.ringWake)
        alerts = hasAlertsFile ? Self.alertsSink(settings) : nil
        var queues = [SinkQueue(name: "subscribers", sink: subscribers)]
        if let alerts {
            queues.append(
                SinkQueue(name: "file", sink: alerts, encoding: settings.daemonKeys ? .daemon : .camelCase))
        }
        if hasGateway, let spool = Self.spoolSink(settings) {
            queues.append(SinkQueue(name: "spool", sink: spool, encoding: .spool))
        }
        if settings.syslog {
            queues.append(SinkQueue(name: "syslog", sink: SyslogSink()))
        }
        let throttle = ThrottleSettings(
            isEnabled: settings.alertThrottling, maxAlertsPerSecond: Int32(clamping: settings.maxAlertPerSec),
            silenceSeconds: Int32(clamping: settings.throttleSec))
        telemetry = TelemetryPipeline(
            builder: AlertBuilder(
                node: NodeIdentity(clusterName: settings.cluster, hostName: host.name, nodeID: host.nodeID),
                version: ReleaseVersion.text),
            throttle: AlertThrottle(settings: throttle), queues: queues)
        feed = try AlertFeed(pipeline: telemetry)
        let makePipeline = { [board, node] (worker: Int32, seesEvents: Bool) in
            PolicyPipeline(
                node: node, postures: settings.postures, seesEvents: seesEvents, visibility: settings.visible.host,
                guardsManagers: !settings.failures.allows(.managerAsked), packetLogGroup: settings.packetLogGroup,
                newNumber: { board.next(.numbers) },
                send: { message, contents in
                    guard let contents else { return Channel.send(worker, message) }
                    guard let memory = try? SealedRegion.seal(contents, name: "portcullis-policies") else {
                        return false
                    }
                    defer { RawDescriptor.close(memory) }
                    return Channel.send(worker, message, descriptor: memory)
                })
        }
        pipeline = makePipeline(RoleDescriptor.peer, settings.usesEvents)
        pipelines = NamespacePipelines(own: pipeline) { makePipeline($0, false) }
        server = ControlServer(
            listener: RoleDescriptor.primary, permittedUsers: settings.isRootless ? [settings.frontUser] : [])
        saved = AppliedPolicyFiles(directory: settings.stateDirectory + "/policies")
        treeFiles = TreePolicyFiles(directory: settings.stateDirectory + "/trees")
        runtimes = try RuntimeServer(
            listener: RoleDescriptor.runtimes, permittedUsers: settings.isRootless ? [settings.frontUser] : [])
        registry = ContainerRegistry(directory: settings.stateDirectory + "/containers")
        if !replaces {
            treeFiles.clear()
            registry.clear()
        }
        containers = ContainerDesk(
            pipeline: pipeline, pipelines: pipelines, registry: registry, board: board,
            runtimeSocket: settings.runtimeSocketPath, seesEvents: settings.usesEvents
        ) { [unowned self] in supervise($0, $1, of: $2, isEntered: $3) }
    }

    private static func spoolSink(_ settings: AgentSettings) -> SpoolSink? {
        do {
            return try SpoolSink(
                directory: settings.spoolDirectory,
                limits: SpoolLimits(totalBytes: UInt64(clamping: settings.spoolBytes)),
                wake: RoleDescriptor.spoolWake, report: AgentLog.warning)
        } catch {
            AgentLog.error("gRPC clients get no records: \(error)")
            return nil
        }
    }

    private static func alertsSink(_ settings: AgentSettings) -> DescriptorSink {
        DescriptorSink(
            descriptor: RoleDescriptor.secondary, ownsDescriptor: false,
            maximumBytes: settings.alertsPath == "-" ? 0 : UInt64(clamping: settings.alertsRotateBytes),
            onFull: { _ in Channel.send(RoleDescriptor.guardian, ChannelMessage(.rotateAlerts)) })
    }

    /// Runs until the guardian says stop or goes away. Returns the exit code.
    func run() -> Int32 {
        guard telemetry.start() else {
            AgentLog.error("the alert threads cannot be started")
            return 1
        }
        if isStarted { telemetry.tell(.warning, "the front has ended and was replaced: its last records may be lost") }
        Channel.send(RoleDescriptor.guardian, ChannelMessage(.scanPolicies))
        while exitCode == nil {
            let more = feed.drain(registry.workload) { [pipelines] in pipelines.rule($0, generation: $1) }
            var poll = PollSet()
            poll.add(RoleDescriptor.guardian, .readable)
            poll.add(RoleDescriptor.peer, .readable)
            poll.add(RoleDescriptor.ringWake, .readable)
            poll.add(runtimes.descriptor, .readable)
            let others = pipelines.members
            for member in others { poll.add(member.channel, .readable) }
            let firstClient = 4 + others.count
            server.addDescriptors(to: &poll)
            let sleeps = !more && feed.prepareSleep()
            _ = poll.wait(timeoutMilliseconds: sleeps ? 1000 : 0)
            if sleeps { feed.finishSleep() }
            if poll.isReady(2) { EventDescriptor.drain(RoleDescriptor.ringWake) }
            if poll.isReady(0), let code = readGuardian() { return finish(code) }
            if poll.isReady(1) { readWorker(RoleDescriptor.peer, pipeline) }
            for (index, member) in others.enumerated() where poll.isReady(4 + index) {
                readWorker(member.channel, member.pipeline)
            }
            if poll.isReady(3) { runtimes.handle { [self] in containers?.take($0) } }
            server.handle(poll, first: firstClient) { [self] in answer($0, $1) }
            subscribers.setWanted(server.hasSubscribers)
            let (lines, lost) = subscribers.take()
            for (index, line) in lines.enumerated() { server.publish(line, lost: index == 0 ? lost : 0) }
            telemetry.tick()
        }
        return finish(exitCode ?? 1)
    }

    private func finish(_ code: Int32) -> Int32 {
        while feed.drain(registry.workload, { [pipelines] in pipelines.rule($0, generation: $1) }) {}
        telemetry.stop()
        return code
    }

    // MARK: - Guardian

    private func readGuardian() -> Int32? {
        while true {
            switch Channel.next(RoleDescriptor.guardian) {
            case .none: return nil
            case .closed: return 0
            case .message(let message, let descriptor):
                var isTaken = false
                defer { if let descriptor, !isTaken { RawDescriptor.close(descriptor) } }
                switch message.kind {
                case .policyFile:
                    if let descriptor {
                        scan[message.string] = PolicyFileReader.load(descriptor: descriptor, file: message.string)
                    }
                case .policyUnreadable:
                    let parts = message.text.split(separator: 0, maxSplits: 1).map {
                        String(decoding: $0, as: UTF8.self)
                    }
                    let file = parts.first ?? ""
                    scan[file] = LoadResult(diagnostics: [
                        Diagnostic(
                            position: SourcePosition(file: file, line: 1, column: 1),
                            message: parts.last ?? "unreadable")
                    ])
                case .policyScanEnd: scanned()
                case .alertsFile:
                    if let descriptor, let alerts {
                        alerts.adopt(descriptor)
                        isTaken = true
                    }
                case .gateway:
                    if let descriptor {
                        server.add(gateway: descriptor)
                        isTaken = true
                    }
                case .stop: return 0
                default: isTaken = pipelines.take(message, descriptor)
                }
            }
        }
    }

    private func scanned() {
        var store = pipeline.latestStore
        let problems = store.replaceFiles(scan)
        scan = [:]
        for problem in problems where isStarted || problem.severity == .warning { say(.warning, "\(problem)") }
        if !isStarted {
            let errors = problems.filter { $0.severity == .error }
            if !errors.isEmpty {
                for error in errors { FileHandleText.writeError("\(error)") }
                AgentLog.error("not started: \(errors.count) problem\(errors.count == 1 ? "" : "s") in the policies")
                exitCode = 1
                return
            }
        }
        if pipeline.active == nil {
            let (policies, broken) = saved.load()
            for problem in broken { AgentLog.warning("\(problem)") }
            store.apply(policies)
            if isStarted {
                store.workloads = treeFiles.load().mapValues(ofTree)
                containers?.restore()
                // Some may have ended while nobody listened.
                for worker in [RoleDescriptor.peer] + pipelines.members.map(\.channel) {
                    Channel.send(worker, ChannelMessage(.askWorkloads))
                }
            }
            lacksFiles = problems.contains { $0.severity == .error }
        } else if lacksFiles {
            lacksFiles = problems.contains { $0.severity == .error }
        }
        if lacksFiles {
            AgentLog.error("the rules in force stay as they are until the policy files load")
            containers?.policiesAreMissing("a policy file does not load, so that its policies are not known")
            return
        }
        pipeline.submit(
            PolicyPipeline.Change(store: store) { [self] outcome in
                switch outcome {
                case .activated(let generation):
                    logGaps()
                    containers?.policiesAreKnown()
                    if !isStarted {
                        isStarted = true
                        Channel.send(RoleDescriptor.guardian, ChannelMessage(.frontReady, number: generation))
                    } else {
                        AgentLog.info("policies loaded again (generation \(generation))")
                    }
                case .refused(let reason):
                    say(.error, "policies not put in force: \(reason)")
                    if !isStarted { exitCode = 1 }
                }
            })
    }

    // MARK: - Worker

    private func readWorker(_ channel: Int32, _ pipeline: PolicyPipeline) {
        while let (message, descriptor) = Channel.receive(channel) {
            let contents = descriptor.flatMap(SealedRegion.contents)
            if let descriptor { RawDescriptor.close(descriptor) }
            if message.kind == .hello {
                // What its predecessor was asked is asked again.
                for (number, launch) in launches where launch.worker == channel { ask(launch, number) }
                pipeline.workerStarted(generation: message.number)
            } else if message.kind == .supervised {
                launched(message)
            } else if message.kind == .workloadEnded {
                dropWorkloads(of: pipeline) { $0 == message.number }
            } else if message.kind == .workloads {
                let alive = Set(message.string.split(separator: " ").compactMap { UInt64($0) })
                let waiting = Set(launches.values.map(\.candidate.workload))
                dropWorkloads(of: pipeline) { !alive.contains($0) && !waiting.contains($0) }
            } else {
                pipeline.receive(message, contents: contents)
            }
        }
    }

    private var report: StatusReport {
        StatusReport(
            board: board, host: host.name, failures: settings.failures, active: pipeline.active,
            ledger: telemetry.ledger, seesEvents: settings.usesEvents, containers: pipelines.containers,
            sets: pipelines.all.flatMap(\.sets.all), otherBoards: pipelines.members.compactMap(\.board))
    }

    /// On standard error and to gRPC clients.
    private func say(_ level: AgentMessage.Level, _ text: String) {
        switch level {
        case .info: AgentLog.info(text)
        case .warning: AgentLog.warning(text)
        case .error: AgentLog.error(text)
        }
        telemetry.tell(level, text)
    }

    private func logGaps() {
        let report = report
        for line in gapLog.lines(rules: report.rules, gaps: report.gaps) { say(.warning, line) }
        telemetry.tell(.info, "policies in force (generation \(report.board.value(.generation)))")
    }

    // MARK: - Clients

    private func answer(_ request: ControlRequest, _ client: ControlServer.Client) {
        guard !client.isGateway || request.isForGateway else {
            server.send(.notPermitted(message: "the gateway may not ask this"), to: client)
            return
        }
        switch request {
        case .apply(let documents, let dryRun):
            if isComplete(client) { changes.apply(documents, dryRun: dryRun, answer(client)) }
        case .delete(let kind, let namespace, let name):
            if isComplete(client) { changes.delete(kind, namespace, name, answer(client)) }
        case .policyEvent(let kind, let event): policyEvent(kind, event, client)
        case .probe:
            let containers = pipelines.containers.values.map(\.identity)
            server.send(
                .probe(ProbeReport.workloads(pipeline.active?.store, containers, host: host.name, node)), to: client)
        case .policies: server.send(.policies(summaries()), to: client)
        case .status: server.send(.status(report.status), to: client)
        case .rules(let start):
            server.send(
                .rules(report.rules(from: start), generation: board.value(.generation)), to: client)
        case .logs(let filters): client.filters = filters
        case .filters(let documents): filters(documents, client)
        case .supervise(let process, let listener, let documents): supervise(process, listener, documents, client)
        case .unlock:
            guard client.user == 0 || settings.isRootless else {
                server.send(.notPermitted(message: "only root may end enforcement"), to: client)
                return
            }
            server.send(.done(messages: ["enforcement ends"]), to: client)
            Channel.send(RoleDescriptor.guardian, ChannelMessage(.unlock))
        }
    }

    private func filters(_ documents: [PolicyDocument], _ client: ControlServer.Client) {
        guard pipeline.active != nil else {
            server.send(.failed(messages: ["no policies are in force yet"]), to: client)
            return
        }
        guard let policies = treePolicies(documents, client) else { return }
        do { server.send(.filters(try pipeline.filters(with: policies)), to: client) } catch {
            server.send(.failed(messages: ["\(error)"]), to: client)
        }
    }

    /// The policies of a tree's documents; `nil` when they do not load, which the client is then told.
    private func treePolicies(_ documents: [PolicyDocument], _ client: ControlServer.Client) -> [Policy]? {
        let results = documents.map { PolicyDocumentLoader().load(bytes: Array($0.text.utf8), file: $0.name) }
        let problems = results.flatMap(\.diagnostics).filter { $0.severity == .error }.map(\.description)
        guard problems.isEmpty else {
            server.send(.failed(messages: problems), to: client)
            return nil
        }
        return ofTree(results.flatMap(\.policies))
    }

    /// Whatever workload a policy is written for: it was given to this one. Of other hosts' policies the host's name decides.
    private func ofTree(_ policies: [Policy]) -> [Policy] { policies.filter { $0.kind != .host || node.select($0) } }

    private func supervise(
        _ process: Int32, _ listener: Int32, _ documents: [PolicyDocument], _ client: ControlServer.Client
    ) {
        guard !documents.isEmpty else { return ask(process, listener, workload: SnapshotBundle.host, client) }
        guard isComplete(client), let policies = treePolicies(documents, client) else { return }
        board.add(.workloads)
        let workload = board.value(.workloads)
        do { try treeFiles.save(documents, of: workload) } catch {
            treeFiles.remove(workload)
            server.send(.failed(messages: ["\(error)"]), to: client)
            return
        }
        var store = pipeline.latestStore
        store.workloads[workload] = policies
        pipeline.submit(
            PolicyPipeline.Change(store: store) { [self] outcome in
                switch outcome {
                case .activated: ask(process, listener, workload: workload, client)
                case .refused(let reason):
                    treeFiles.remove(workload)
                    server.send(.failed(messages: [reason]), to: client)
                }
            })
    }

    private func ask(_ process: Int32, _ listener: Int32, workload: UInt64, _ client: ControlServer.Client) {
        let candidate = TreeKeeper.Candidate(
            pid: process, listener: listener, user: client.user, workload: workload)
        ask(Launch(candidate: candidate, client: client))
    }

    /// Forgets workloads that are no more.
    private func dropWorkloads(of pipeline: PolicyPipeline, _ isGone: (UInt64) -> Bool) {
        var store = pipeline.latestStore
        let gone = store.workloads.keys.filter(isGone)
        containers?.end(in: pipeline, where: isGone)
        guard !gone.isEmpty else { return }
        for workload in gone {
            store.workloads[workload] = nil
            treeFiles.remove(workload)
        }
        pipeline.submit(
            PolicyPipeline.Change(store: store) { outcome in
                if case .refused(let reason) = outcome { AgentLog.error("an ended tree's policies stay: \(reason)") }
            })
    }

    private func ask(_ launch: Launch) {
        launchCount += 1
        launches[launchCount] = launch
        ask(launch, launchCount)
    }

    /// A worker that is being replaced is not asked; its successor's hello asks again.
    private func ask(_ launch: Launch, _ number: UInt64) {
        Channel.send(
            launch.worker, ChannelMessage(.supervise, number: number, text: launch.candidate.text),
            descriptor: launch.listener)
    }

    private func launched(_ message: ChannelMessage) {
        guard let launch = launches.removeValue(forKey: message.number) else { return }
        let (problem, workload) = (message.string, launch.candidate.workload)
        if !problem.isEmpty, workload != SnapshotBundle.host {
            dropWorkloads(of: pipelines.pipeline(of: workload) ?? pipeline) { $0 == workload }
        }
        if let client = launch.client {
            server.send(problem.isEmpty ? .done(messages: []) : .failed(messages: [problem]), to: client)
        } else if !problem.isEmpty {
            AgentLog.error("a container is not supervised, and what its filter asks about fails: \(problem)")
        }
        if let listener = launch.listener { RawDescriptor.close(listener) }
    }

    private func supervise(_ process: Int32, _ listener: Int32, of container: UInt64, isEntered: Bool = false) {
        ask(
            Launch(
                candidate: TreeKeeper.Candidate(
                    pid: process, listener: -1, user: 0, workload: container, isEntered: isEntered),
                listener: listener, worker: pipelines.channel(of: container)))
    }

    private func answer(_ client: ControlServer.Client) -> (PolicyChanges.Outcome) -> Void {
        { [server] outcome in
            switch outcome {
            case .done(let messages): server.send(.done(messages: messages), to: client)
            case .failed(let reasons): server.send(.failed(messages: reasons), to: client)
            }
        }
    }

    private func policyEvent(_ kind: String, _ event: String, _ client: ControlServer.Client) {
        guard let kind = PolicyKind(rawValue: kind), kind != .cluster, !lacksFiles, pipeline.active != nil else {
            server.send(.policyEvent(.failure), to: client)
            return
        }
        changes.take(event, of: kind) { [server] in server.send(.policyEvent($0), to: client) }
    }

    /// Whether a change can build on what is in force: a front that replaces another does not know it at first.
    private func isComplete(_ client: ControlServer.Client) -> Bool {
        guard pipeline.active != nil || lacksFiles else {
            server.send(.failed(messages: ["the agent does not know its policies yet; try again"]), to: client)
            return false
        }
        if lacksFiles {
            server.send(
                .failed(messages: ["a policy file does not load; mend it first ('portcullis check' says what is wrong)"]
                ),
                to: client)
        }
        return !lacksFiles
    }

    private func summaries() -> [PolicySummary] {
        (pipeline.active?.store.entries ?? []).map { entry in
            let policy = entry.policy
            let origin: String
            switch entry.origin {
            case .applied: origin = "applied"
            case .file(let name): origin = name
            }
            return PolicySummary(
                kind: policy.kind.rawValue, namespace: policy.namespace ?? "", name: policy.name,
                action: policy.attributes.action.name,
                rules: policy.process.count + policy.file.count + policy.protocols.count + policy.dns.count
                    + policy.capabilities.count + policy.syscalls.count + policy.presets.count + policy.devices.count
                    + policy.ingress.count + policy.egress.count,
                origin: origin, selected: node.select(policy))
        }
    }
}
