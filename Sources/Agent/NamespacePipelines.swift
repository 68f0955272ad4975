import AgentCore
import FileEnforcement
import LinuxKernel
import PolicyEngine

/// The front's side of the workers in other user namespaces: a pipeline for each, which has the policies of containers alone, follows every change of the
/// agent's own pipeline, and ends with the last container there.
final class NamespacePipelines {
    /// A worker and what it is told.
    final class Member {
        /// The guardian's number for the user namespace.
        let number: UInt64
        /// Socket to the worker.
        let channel: Int32
        let pipeline: PolicyPipeline
        /// The worker's counters.
        let board: StatusBoard?

        init(_ number: UInt64, _ channel: Int32, _ pipeline: PolicyPipeline, _ board: StatusBoard?) {
            (self.number, self.channel, self.pipeline, self.board) = (number, channel, pipeline, board)
        }
    }

    private let own: PolicyPipeline
    private let makePipeline: (Int32) -> PolicyPipeline
    private(set) var members: [Member] = []
    /// Boards whose worker is not known yet.
    private var boards: [UInt64: StatusBoard] = [:]
    /// Who waits for the guardian's answer.
    private var questions: [UInt64: (Result<PolicyPipeline, Problem>) -> Void] = [:]
    private var questionCount: UInt64 = 0
    /// Pipelines that are no more, for alerts that may still be on their way; newest last.
    private var ended: [PolicyPipeline] = []
    private static let endedLimit = 8

    /// Why there is no worker, as one line.
    struct Problem: Error { var text: String }

    /// - Parameters:
    ///   - own: that of the worker in the agent's own user namespace.
    ///   - makePipeline: makes one for the worker at a socket.
    init(own: PolicyPipeline, makePipeline: @escaping (Int32) -> PolicyPipeline) {
        (self.own, self.makePipeline) = (own, makePipeline)
        own.follow = { [unowned self] store, done in follow(store, done) }
    }

    /// Every pipeline, the agent's own first.
    var all: [PolicyPipeline] { [own] + members.map(\.pipeline) }

    /// Every container.
    var containers: [UInt64: PolicyPipeline.Container] {
        members.reduce(into: own.containers) { $0.merge($1.pipeline.containers) { known, _ in known } }
    }

    /// The pipeline that has a container.
    func pipeline(of container: UInt64) -> PolicyPipeline? { all.first { $0.containers[container] != nil } }

    /// The socket of the worker that has a container, or else of the agent's own.
    func channel(of container: UInt64) -> Int32 {
        members.first { $0.pipeline.containers[container] != nil }?.channel ?? RoleDescriptor.peer
    }

    /// The guardian's number for a pipeline's user namespace; 0 for the agent's own.
    func number(of pipeline: PolicyPipeline) -> UInt64 { members.first { $0.pipeline === pipeline }?.number ?? 0 }

    /// The pipeline of a user namespace; `nil` when it is no more.
    func pipeline(number: UInt64) -> PolicyPipeline? {
        number == 0 ? own : members.first { $0.number == number }?.pipeline
    }

    /// The rule behind an id of a generation's snapshot.
    func rule(_ id: RuleID, generation: UInt64) -> RuleDescription? {
        for pipeline in all + ended.reversed() {
            if let rule = pipeline.rule(id, generation: generation) { return rule }
        }
        return nil
    }

    // MARK: - Guardian

    /// Asks for the pipeline of the user namespace that a process is in.
    func find(_ process: Int32, _ completion: @escaping (Result<PolicyPipeline, Problem>) -> Void) {
        questionCount += 1
        questions[questionCount] = completion
        let question = ChannelMessage(.findNamespace, number: questionCount, text: "\(process)")
        if !Channel.send(RoleDescriptor.guardian, question) {
            questions.removeValue(forKey: questionCount)?(.failure(Problem(text: "the guardian does not answer")))
        }
    }

    /// Takes a message of the guardian's; true when the descriptor is kept.
    func take(_ message: ChannelMessage, _ descriptor: Int32?) -> Bool {
        switch (message.kind, descriptor) {
        case (.namespaceBoard, let memory?): boards[message.number] = try? SharedRegions.board(memory)
        case (.namespaceWorker, let channel?):
            let pipeline = makePipeline(channel)
            members.append(
                Member(message.number, channel, pipeline, boards.removeValue(forKey: message.number)))
            // Otherwise it gets them when they are known.
            if let active = own.active { follow(active.store, in: pipeline) }
            return true
        case (.namespace, _):
            guard let completion = questions.removeValue(forKey: message.number) else { return false }
            if let pipeline = UInt64(message.string).flatMap(pipeline(number:)) {
                completion(.success(pipeline))
            } else {
                completion(.failure(Problem(text: message.string)))
            }
        default: break
        }
        return false
    }

    /// Ends the workers that have no container any more.
    func endIdle() {
        // What the guardian answers next may be about one of them.
        guard questions.isEmpty else { return }
        for member in members where member.pipeline.containers.isEmpty && member.pipeline.hadContainers {
            Channel.send(RoleDescriptor.guardian, ChannelMessage(.dropNamespace, number: member.number))
            RawDescriptor.close(member.channel)
            ended.append(member.pipeline)
            if ended.count > Self.endedLimit { ended.removeFirst() }
        }
        members.removeAll { $0.pipeline.containers.isEmpty && $0.pipeline.hadContainers }
    }

    // MARK: - Policies

    /// Puts what is for containers in force everywhere else, too.
    private func follow(_ store: PolicyStore, _ done: @escaping () -> Void) {
        var waiting = members.count
        guard waiting > 0 else { return done() }
        for member in members {
            follow(store, in: member.pipeline) {
                waiting -= 1
                if waiting == 0 { done() }
            }
        }
    }

    private func follow(_ store: PolicyStore, in pipeline: PolicyPipeline, _ done: @escaping () -> Void = {}) {
        pipeline.submit(
            PolicyPipeline.Change(store: store.ofContainers) { outcome in
                if case .refused(let reason) = outcome {
                    AgentLog.error("policies are not in force in a user namespace of containers: \(reason)")
                }
                done()
            })
    }
}
