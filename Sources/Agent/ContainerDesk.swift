import AgentCore
import ContainerHook
import FileEnforcement
import LinuxKernel
import PolicyEngine
import Workloads

/// Takes containers in as runtimes tell of them: each is one container, whoever tells of it and how often.
final class ContainerDesk {
    /// Asks for a process of a container to be supervised, whose listener this is.
    typealias Supervise = (_ process: Int32, _ listener: Int32, _ container: UInt64, _ isEntered: Bool) -> Void

    /// That of the agent's own user namespace.
    private let pipeline: PolicyPipeline
    private let pipelines: NamespacePipelines
    private let registry: ContainerRegistry
    private let board: StatusBoard
    private let supervise: Supervise
    private let seesEvents: Bool
    /// The socket that our profiles name.
    private let runtimeSocket: String
    /// What is known of containers besides: who they are, from all that has told.
    private var notes: [UInt64: IdentityNotes] = [:]
    /// Labels of pods, by sandbox.
    private var sandboxes: [String: [String: String]] = [:]
    /// What came before the policies were known.
    private var early: [RuntimeServer.Arrival] = []
    private static let earlyLimit = 256
    /// Why they are not going to be known soon.
    private var obstacle: String?

    init(
        pipeline: PolicyPipeline, pipelines: NamespacePipelines, registry: ContainerRegistry, board: StatusBoard,
        runtimeSocket: String, seesEvents: Bool, supervise: @escaping Supervise
    ) {
        (self.pipelines, self.seesEvents) = (pipelines, seesEvents)
        (self.pipeline, self.registry, self.board, self.supervise) = (pipeline, registry, board, supervise)
        self.runtimeSocket = runtimeSocket
    }

    /// Takes what a runtime has sent.
    func take(_ arrival: RuntimeServer.Arrival) {
        guard pipeline.active != nil else {
            if obstacle == nil, early.count < Self.earlyLimit { return early.append(arrival) }
            return refuse(arrival, obstacle ?? "too many others wait for the policies")
        }
        switch arrival {
        case .listener(let state, let listener): take(state, listener: listener)
        case .hook(let message, let files, _, let reply):
            let contents = zip(message.files, files).map { ($0, Self.end(of: $1)) }
            for file in files { RawDescriptor.close(file) }
            take(message, contents, reply)
        }
    }

    /// The policies are known: what has waited for them goes on.
    func policiesAreKnown() {
        obstacle = nil
        let waiting = early
        early = []
        for arrival in waiting { take(arrival) }
    }

    /// The policies are not going to be known until somebody does something: nothing starts without them.
    func policiesAreMissing(_ reason: String) {
        guard pipeline.active == nil else { return }
        obstacle = reason
        let waiting = early
        early = []
        for arrival in waiting { refuse(arrival, reason) }
    }

    private func refuse(_ arrival: RuntimeServer.Arrival, _ reason: String) {
        switch arrival {
        case .listener(let state, let listener):
            RawDescriptor.close(listener)
            AgentLog.error("container \(state.state.id) does not start: \(reason)")
        case .hook(let message, let files, _, let reply):
            for file in files { RawDescriptor.close(file) }
            reply.send(message.stage == .poststop ? .allow : .deny(reason))
        }
    }

    /// Takes over what a front before knew.
    func restore() {
        for (namespace, known) in Dictionary(grouping: registry.load(), by: \.value.namespace) {
            // One that is no more has no containers either.
            pipelines.pipeline(number: namespace)?.restore(
                Dictionary(
                    uniqueKeysWithValues: known.map {
                        (
                            SnapshotBundle.container($0.key),
                            PolicyPipeline.Container(identity: $0.value.identity, origin: $0.value.origin)
                        )
                    }))
        }
    }

    // MARK: - Hooks

    private func take(_ message: HookMessage, _ files: [(HookMessage.File, [UInt8])], _ reply: HookReply) {
        switch message.stage {
        case .precreate: reply.send(.deny("this agent does not define containers"))
        case .poststop:
            if let state = ContainerProcessState.State(message.state) { stopped(state) }
            reply.send(.allow)
        case .createRuntime, .running: created(message, files, reply)
        }
    }

    /// A runtime has set a container up, and waits with its program.
    private func created(_ message: HookMessage, _ files: [(HookMessage.File, [UInt8])], _ reply: HookReply) {
        guard let state = ContainerProcessState.State(message.state), let process = state.pid, process > 1,
            let bundle = state.bundle, let configuration = ContainerConfiguration(message.configuration),
            let root = configuration.rootPath(bundle: bundle)
        else { return reply.send(.deny("the container's state or configuration is not understood")) }
        // Asked again, because the front that was asked is no more.
        if find(id: state.id, process: process) != nil { return reply.send(.allow) }
        let isRunning = message.stage == .running
        // Whoever had the listener of one that runs already has lost it.
        let isSupervised = !isRunning && configuration.linux?.seccomp?.listenerPath == runtimeSocket
        guard isSupervised || seesEvents else {
            return reply.send(
                .deny(
                    "without fanotify the agent holds containers by their calls alone: container \(state.id) needs the seccomp profile that 'portcullis container-profile' writes"
                ))
        }
        var origin = ContainerOrigin(
            process: process, id: state.id, isStarting: !isRunning, isSupervised: isSupervised)
        (origin.rootPath, origin.bundle) = (root, bundle)
        var notes = IdentityNotes(
            metadata: isSupervised ? configuration.linux?.seccomp?.listenerMetadata ?? "" : "")
        let annotations = (state.annotations ?? [:]).merging(configuration.annotations ?? [:]) { _, stated in stated }
        notes.add(IdentityNotes(annotations: annotations, bundle: bundle))
        for (file, contents) in files {
            switch file {
            case .containers: notes.add(IdentityNotes(podmanContainers: contents, id: state.id))
            case .events: notes.add(IdentityNotes(podmanEvents: contents, id: state.id))
            case .docker: notes.add(IdentityNotes(dockerContainer: contents))
            }
        }
        start(notes, origin) { problem, _ in
            if isRunning {
                AgentLog.info(
                    "container \(origin.id) runs already; "
                        + (problem.map { "it is not held: \($0)" } ?? "it is held from now on"))
            } else if let problem {
                AgentLog.error("container \(origin.id) does not start: \(problem)")
            }
            reply.send(problem.map { .deny("the agent cannot hold container \(origin.id): \($0)") } ?? .allow)
        }
    }

    /// A runtime has deleted a container.
    private func stopped(_ state: ContainerProcessState.State) {
        for (number, container) in pipelines.containers where container.origin.id == state.id {
            // One that was started again under its name, or somebody else's of the same name, is another one.
            guard container.origin.bundle.isEmpty || container.origin.bundle == state.bundle else { continue }
            Channel.send(pipelines.channel(of: number), ChannelMessage(.dropContainer, number: number))
        }
    }

    /// The last bytes of a file.
    private static func end(of file: Int32) -> [UInt8] {
        var status = ObjectStatus()
        guard ObjectStatus.read(descriptor: file, into: &status) == 0, status.isRegularFile else { return [] }
        return RawDescriptor.readEnd(file, size: Int(clamping: status.size), limit: fileLimit)
    }

    /// Bytes of an engine's file that are read at most.
    private static let fileLimit = 8 << 20

    // MARK: - Listeners

    /// A runtime has set a container up, or a further process in one, and sends its listener. Until it is taken over nothing that its
    /// filter asks about goes on; closed, it fails.
    private func take(_ state: ContainerProcessState, listener: Int32) {
        let first = state.state.pid ?? state.pid
        if let known = find(id: state.state.id, process: first) {
            return takeFurther(state, listener, of: known)
        }
        // The runtime is done with the container's root when it sends this; its own steps end with the first execution that is asked about.
        var origin = ContainerOrigin(process: first, id: state.state.id, isStarting: false, isSupervised: true)
        origin.bundle = state.state.bundle ?? ""
        start(state.notes, origin) { [self] problem, number in
            if let problem {
                AgentLog.error("container \(origin.id) does not start: \(problem)")
                RawDescriptor.close(listener)
            } else {
                supervise(state.pid, listener, number, state.state.status == "running")
            }
        }
    }

    /// A listener of a container that is known.
    private func takeFurther(_ state: ContainerProcessState, _ listener: Int32, of number: UInt64) {
        let isEntered = state.state.status == "running"
        learn(state.notes, of: number)
        guard let pipeline = pipelines.pipeline(of: number), pipeline.containers[number]?.origin.isSupervised == false
        else { return supervise(state.pid, listener, number, isEntered) }
        Channel.send(pipelines.channel(of: number), ChannelMessage(.superviseContainer, number: number))
        pipeline.renew(number) { $0.origin.isSupervised = true }
        save(number)
        supervise(state.pid, listener, number, isEntered)
    }

    // MARK: - Parts

    private func find(id: String, process: Int32) -> UInt64? {
        pipelines.containers.first { $0.value.origin.id == id && $0.value.origin.process == process }?.key
    }

    /// Has a container decided by its policies.
    ///
    /// - Parameter completion: told why not, and the container's number as a workload.
    private func start(
        _ known: IdentityNotes, _ origin: ContainerOrigin, _ completion: @escaping (String?, UInt64) -> Void
    ) {
        // Marks are set from outside; calls are performed with the rights of the container's own user namespace.
        guard origin.isSupervised else { return start(known, origin, in: pipeline, completion) }
        pipelines.find(origin.process) { [self] found in
            switch found {
            case .success(let pipeline): start(known, origin, in: pipeline, completion)
            case .failure(let problem): completion(problem.text, SnapshotBundle.host)
            }
        }
    }

    private func start(
        _ known: IdentityNotes, _ origin: ContainerOrigin, in pipeline: PolicyPipeline,
        _ completion: @escaping (String?, UInt64) -> Void
    ) {
        let number = board.next(.workloads)
        let workload = SnapshotBundle.container(number)
        notes[workload] = known
        let identity = identity(of: workload, id: origin.id)
        let entry = ContainerRegistry.Entry(
            identity: identity, origin: origin, namespace: pipelines.number(of: pipeline))
        do { try registry.put(entry, as: number) } catch { return completion("\(error)", workload) }
        pipeline.start(workload, PolicyPipeline.Container(identity: identity, origin: origin)) { [self] problem in
            if problem != nil {
                Channel.send(pipelines.channel(of: workload), ChannelMessage(.dropContainer, number: workload))
                end(workload)
            }
            completion(problem, workload)
        }
    }

    /// Who a container is, by all that has told.
    private func identity(of workload: UInt64, id: String) -> ContainerIdentity {
        var known = notes[workload] ?? IdentityNotes()
        if let sandbox = known.sandbox {
            // The sandbox of a pod is a container itself, and the one with the pod's labels.
            if sandbox == id { sandboxes[sandbox] = known.labels }
            known.labels.merge(sandboxes[sandbox] ?? [:]) { own, _ in own }
        }
        return known.identity(id: id)
    }

    /// Somebody else has told of a container that is known.
    private func learn(_ more: IdentityNotes, of workload: UInt64) {
        guard let pipeline = pipelines.pipeline(of: workload), let container = pipeline.containers[workload] else {
            return
        }
        notes[workload, default: IdentityNotes()].add(more)
        let identity = identity(of: workload, id: container.origin.id)
        guard identity != container.identity else { return }
        pipeline.renew(workload) { $0.identity = identity }
        save(workload)
    }

    private func save(_ workload: UInt64) {
        guard let pipeline = pipelines.pipeline(of: workload), let container = pipeline.containers[workload] else {
            return
        }
        do {
            try registry.put(
                ContainerRegistry.Entry(
                    identity: container.identity, origin: container.origin,
                    namespace: pipelines.number(of: pipeline)),
                as: SnapshotBundle.number(ofContainer: workload))
        } catch { AgentLog.warning("container \(container.origin.id): \(error)") }
    }

    /// Forgets those of a pipeline's containers that are no more.
    func end(in pipeline: PolicyPipeline, where isGone: (UInt64) -> Bool) {
        for number in pipeline.containers.keys.filter(isGone) { end(number) }
        pipelines.endIdle()
    }

    private func end(_ workload: UInt64) {
        let pipeline = pipelines.pipeline(of: workload)
        let id = pipeline?.containers[workload]?.origin.id
        if let sandbox = notes.removeValue(forKey: workload)?.sandbox, sandbox == id { sandboxes[sandbox] = nil }
        pipeline?.end(workload)
        registry.end(SnapshotBundle.number(ofContainer: workload))
    }
}
