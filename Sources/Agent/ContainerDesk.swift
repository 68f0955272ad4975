import AgentCore
import FileEnforcement
import LinuxKernel
import PolicyEngine
import Workloads

/// Takes containers in as runtimes tell of them: each is one container, whoever tells of it and how often.
final class ContainerDesk {
    /// Asks for a process of a container to be supervised, whose listener this is.
    typealias Supervise = (_ process: Int32, _ listener: Int32, _ container: UInt64, _ isEntered: Bool) -> Void

    private let pipeline: PolicyPipeline
    private let registry: ContainerRegistry
    private let board: StatusBoard
    private let supervise: Supervise

    init(
        pipeline: PolicyPipeline, registry: ContainerRegistry, board: StatusBoard, supervise: @escaping Supervise
    ) {
        (self.pipeline, self.registry, self.board, self.supervise) = (pipeline, registry, board, supervise)
    }

    /// Takes over what a front before knew.
    func restore() {
        pipeline.restore(
            Dictionary(
                uniqueKeysWithValues: registry.load().map {
                    (
                        SnapshotBundle.container($0.key),
                        PolicyPipeline.Container(identity: $0.value.identity, origin: $0.value.origin)
                    )
                }))
    }

    // MARK: - Listeners

    /// A runtime has set a container up, or a further process in one, and sends its listener. Until it is taken over nothing that its
    /// filter asks about goes on; closed, it fails.
    func take(_ state: ContainerProcessState, listener: Int32) {
        let first = state.state.pid ?? state.pid
        if let known = find(id: state.state.id, process: first) {
            return takeFurther(state, listener, of: known)
        }
        // The runtime is done with the container's root when it sends this; its own steps end with the first execution that is asked about.
        let origin = ContainerOrigin(process: first, id: state.state.id, isStarting: false, isSupervised: true)
        start(state.identity, origin) { [self] problem, number in
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
        guard pipeline.containers[number]?.origin.isSupervised == false else {
            return supervise(state.pid, listener, number, isEntered)
        }
        Channel.send(RoleDescriptor.peer, ChannelMessage(.superviseContainer, number: number))
        pipeline.renew(number) { $0.origin.isSupervised = true }
        supervise(state.pid, listener, number, isEntered)
    }

    // MARK: - Parts

    private func find(id: String, process: Int32) -> UInt64? {
        pipeline.containers.first { $0.value.origin.id == id && $0.value.origin.process == process }?.key
    }

    /// Has a container decided by its policies.
    ///
    /// - Parameter completion: told why not, and the container's number as a workload.
    private func start(
        _ identity: ContainerIdentity, _ origin: ContainerOrigin, _ completion: @escaping (String?, UInt64) -> Void
    ) {
        let number = board.next(.workloads)
        let workload = SnapshotBundle.container(number)
        do { try registry.put(ContainerRegistry.Entry(identity: identity, origin: origin), as: number) } catch {
            return completion("\(error)", workload)
        }
        pipeline.start(workload, PolicyPipeline.Container(identity: identity, origin: origin)) { [self] problem in
            if problem != nil {
                Channel.send(RoleDescriptor.peer, ChannelMessage(.dropContainer, number: workload))
                end(workload)
            }
            completion(problem, workload)
        }
    }

    /// Forgets containers that are no more.
    func end(where isGone: (UInt64) -> Bool) { for number in pipeline.containers.keys.filter(isGone) { end(number) } }

    private func end(_ workload: UInt64) {
        pipeline.end(workload)
        registry.end(SnapshotBundle.number(ofContainer: workload))
    }
}
