import EventSpool
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Logging
import NIOCore
import RPCServices
import RPCTransport
import ServiceLifecycle
import Synchronization

/// Reads all agents there are: starts a session for each that is found, and ends those that are found no more.
final class AgentPool: Service {
    private struct Running {
        var session: AgentSession
        var stop: AsyncStream<Void>.Continuation
    }
    private struct State {
        var found: [Int: Set<AgentEndpoint>] = [:]
        var running: [AgentEndpoint: Running] = [:]
    }
    private let discoveries: [any AgentDiscovery]
    private let book: AgentBook
    private let log: FanOutLog
    private let credentials: TLSCredentials
    private let kinds: Set<SpoolKind>
    private let freshness: Int
    private let group: any EventLoopGroup
    private let trail: AuditTrail
    private let logger: Logger
    private let state = Mutex(State())
    private static let retry = Duration.seconds(10)

    init(
        _ discoveries: [any AgentDiscovery], book: AgentBook, log: FanOutLog, credentials: TLSCredentials,
        kinds: Set<SpoolKind>, freshness: Int, group: any EventLoopGroup, trail: AuditTrail, logger: Logger
    ) {
        self.discoveries = discoveries
        self.book = book
        self.log = log
        self.credentials = credentials
        self.kinds = kinds
        self.freshness = freshness
        self.group = group
        self.trail = trail
        self.logger = logger
    }

    /// Runs until shut down.
    func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            await withDiscardingTaskGroup { group in
                let (changes, change) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
                for (index, discovery) in discoveries.enumerated() {
                    group.addTask { await self.discover(discovery, index, change) }
                }
                for await _ in changes {
                    for (endpoint, stops) in update() {
                        // What is not taken in is lost to everybody, what does not go out to one client.
                        group.addTask(priority: .high) { await self.read(endpoint, until: stops) }
                    }
                }
            }
        }
    }

    /// A client to the agent of this name that is connected.
    func client(_ endpoint: AgentEndpoint) -> GRPCClient<HTTP2ClientTransport.Posix>? {
        state.withLock { $0.running[endpoint]?.session }?.current
    }

    private func discover(_ discovery: any AgentDiscovery, _ index: Int, _ change: AsyncStream<Void>.Continuation) async
    {
        while !Task.isCancelled {
            do {
                try await discovery.run { agents in
                    self.state.withLock { $0.found[index] = Set(agents) }
                    change.yield()
                }
            } catch {
                if Task.isCancelled { return }
                // What was found before stays: a name service that is away takes no agent away.
                logger.warning("agents cannot be found", metadata: ["by": "\(discovery.name)", "reason": "\(error)"])
                try? await Task.sleep(for: Self.retry)
            }
        }
    }

    /// Ends what is found no more, and returns what is new.
    private func update() -> [(AgentEndpoint, AsyncStream<Void>)] {
        state.withLock { state in
            let wanted = state.found.values.reduce(into: Set()) { $0.formUnion($1) }
            for (endpoint, running) in state.running where !wanted.contains(endpoint) {
                running.stop.finish()
                state.running[endpoint] = nil
            }
            var fresh: [(AgentEndpoint, AsyncStream<Void>)] = []
            for endpoint in wanted where state.running[endpoint] == nil {
                let (stream, stop) = AsyncStream.makeStream(of: Void.self)
                let session = AgentSession(
                    endpoint, book: book, log: log, credentials: credentials, kinds: kinds, freshness: freshness,
                    group: group, trail: trail, logger: logger)
                state.running[endpoint] = Running(session: session, stop: stop)
                fresh.append((endpoint, stream))
            }
            return fresh
        }
    }

    private func read(_ endpoint: AgentEndpoint, until stop: AsyncStream<Void>) async {
        guard let session = state.withLock({ $0.running[endpoint]?.session }) else { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await session.run() }
            group.addTask { for await _ in stop {} }
            await group.next()
            group.cancelAll()
        }
    }
}
