import ArgumentParser
import ClientSupport
import GRPCCore
import WireProtocol

/// What `profile`, `recommend` and `summary` look at, and for how long.
struct ObservationOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Look for so many seconds; otherwise until interrupted.", valueName: "number"))
    var seconds: Int?

    @Flag(help: "Begin with the oldest records there are, not with now.")
    var all = false

    @Option(help: ArgumentHelp("Only this container, by name.", valueName: "name"))
    var container: String?

    @Option(help: ArgumentHelp("Only this namespace.", valueName: "name"))
    var namespace: String?

    @Option(help: ArgumentHelp("Only what this program does; repeatable.", valueName: "path"))
    var process: [String] = []

    func validate() throws {
        if let seconds, !(1...86_400).contains(seconds) {
            throw ValidationError("--seconds must be between 1 and 86400")
        }
    }

    private func stream(_ agents: [String]) -> RecordStream {
        RecordStream(
            request: .with {
                $0.kinds = [.alert, .log]
                $0.agents = agents
                if let container { $0.filter["ContainerName"] = container }
                if let namespace { $0.filter["NamespaceName"] = namespace }
                if all { $0.resume = [.alert, .log].map { kind in .with { $0.kind = kind } } }
            })
    }

    /// Watches until the time is over, and tells of what was seen on the way once a second.
    func watch(
        _ remote: RemoteOptions, _ place: ServerPlace, seconds limit: Int?,
        update: @escaping @Sendable (Behaviour) throws -> Void = { _ in }
    ) throws -> Behaviour {
        let behaviour = Shared(Behaviour())
        let (stream, programs) = (stream(remote.agentName), Set(process))
        try remote.withSession(place) { client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await stream.follow(client) { item, _ in
                        behaviour.withLock { behaviour in
                            switch item {
                            case .alert(let record, let agent), .log(let record, let agent):
                                let name = String(
                                    decoding: record.operation == "Process" ? record.source : record.processName,
                                    as: UTF8.self)
                                if programs.isEmpty || programs.contains(name) { behaviour.add(record, agent: agent) }
                            case .missed(let count): behaviour.miss(count)
                            case .message: break
                            }
                        }
                        return true
                    }
                    throw RPCError(code: .unavailable, message: "the stream has ended")
                }
                group.addTask {
                    let end = limit.map { ContinuousClock.now + .seconds($0) }
                    while end.map({ ContinuousClock.now < $0 }) ?? true {
                        try await Task.sleep(for: .seconds(1))
                        try update(behaviour.withLock { $0 })
                    }
                }
                try await group.next()
                group.cancelAll()
            }
        }
        return behaviour.withLock { $0 }
    }
}
