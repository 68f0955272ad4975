import EventSpool
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Logging
import NIOCore
import ProtobufCoding
import RPCServices
import RPCTransport
import Synchronization
import WireProtocol

/// Reads one agent's records for as long as it is to be read, over one connection after the other.
final class AgentSession: Sendable {
    private let endpoint: AgentEndpoint
    private let book: AgentBook
    private let log: FanOutLog
    private let credentials: TLSCredentials
    private let trail: AuditTrail
    private let logger: Logger
    private let group: any EventLoopGroup
    private let kinds: Set<SpoolKind>
    /// Milliseconds after which an agent that the relay is too slow for leaves records out; 0 for never.
    private let freshness: Int
    /// The name in the certificate of the connection that there is.
    private let name = Mutex<String?>(nil)
    private let client = Mutex<GRPCClient<HTTP2ClientTransport.Posix>?>(nil)
    private static let longestPause = Duration.seconds(30)
    /// Of one agent, while the relay has something else to do. The agent's spool is the better place for what waits.
    private static let window = 32 << 10

    init(
        _ endpoint: AgentEndpoint, book: AgentBook, log: FanOutLog, credentials: TLSCredentials, kinds: Set<SpoolKind>,
        freshness: Int, group: any EventLoopGroup, trail: AuditTrail, logger: Logger
    ) {
        self.endpoint = endpoint
        self.book = book
        self.log = log
        self.credentials = credentials
        self.kinds = kinds
        self.freshness = freshness
        self.group = group
        self.trail = trail
        self.logger = logger
    }

    /// Runs until cancelled.
    func run() async {
        let token = book.add(endpoint)
        defer { book.remove(endpoint, token) }
        var pause = Duration.milliseconds(500)
        while !Task.isCancelled {
            let start = ContinuousClock.now
            do {
                try await connectOnce()
                book.setProblem(endpoint, "the stream has ended")
            } catch {
                if Task.isCancelled { return }
                let reason = (error as? RPCError).map { "\($0.code): \($0.message)" } ?? "\(error)"
                book.setProblem(endpoint, reason)
                logger.info(
                    "an agent is not being read", metadata: ["address": "\(endpoint.address)", "reason": "\(reason)"])
            }
            if ContinuousClock.now - start > Self.longestPause { pause = .milliseconds(500) }
            // Agents that a relay lost at the same moment do not come back at the same moment.
            try? await Task.sleep(for: pause * Double.random(in: 0.7...1.3))
            pause = min(Self.longestPause, pause * 1.6)
        }
    }

    /// The connection's client, for questions to the agent; `nil` while there is none.
    var current: GRPCClient<HTTP2ClientTransport.Posix>? { client.withLock { $0 } }

    private func connectOnce() async throws {
        name.withLock { $0 = nil }
        let transport = try RPCConnector.secure(
            host: endpoint.host, port: endpoint.port, credentials: credentials,
            expecting: RPCConnector.Expectation(role: .agent) { [self] in accept($0) }, group: group,
            window: Self.window
        ) { [self] reason in
            book.countRejection()
            logger.warning("a peer is not who it has to be", metadata: ["reason": "\(reason)"])
        }
        let numbering = RequestNumbering { [self] method, number in
            trail.note(asking: name.withLock { $0 } ?? endpoint.address, method, number)
        }
        try await withGRPCClient(transport: transport, interceptors: [numbering]) { client in
            self.client.withLock { $0 = client }
            defer { self.client.withLock { $0 = nil } }
            try await read(client)
        }
    }

    private func accept(_ identity: PeerIdentity) -> Bool {
        guard endpoint.accepts(identity.name), book.connect(endpoint, as: identity.name) else { return false }
        name.withLock { $0 = identity.name }
        return true
    }

    private func read(_ client: GRPCClient<HTTP2ClientTransport.Posix>) async throws {
        // Before the first call nobody has been seen; positions are by name, so a call without effect comes first.
        var options = CallOptions.defaults
        options.timeout = .seconds(15)
        options.waitForReady = false
        _ = try await Grpc_Health_V1_Health.Client(wrapping: client).check(.with { _ in }, options: options)
        guard let name = name.withLock({ $0 }) else {
            throw RPCError(code: .unauthenticated, message: "nobody was seen")
        }
        let position = book.position(name)
        let request = Portcullis_V1_StreamRequest.with {
            $0.kinds = kinds.map(\.onTheWire)
            $0.freshMilliseconds = UInt32(freshness)
            // An agent that is new here has what happened before it was found.
            $0.resume = kinds.map { kind in
                .with {
                    $0.kind = kind.onTheWire
                    $0.after = (position?.next[kind] ?? 1) - 1
                    $0.spool = position?.spool ?? ""
                }
            }
        }
        try await client.serverStreaming(
            request: ClientRequest(message: request), descriptor: Portcullis_V1_Telemetry.Method.Stream.descriptor,
            serializer: ProtobufSerializer<Portcullis_V1_StreamRequest>(), deserializer: RawDeserializer(),
            options: .defaults
        ) { [self] response in
            let spool = response.metadata[stringValues: LogService.spoolKey].first { _ in true } ?? ""
            book.setConnected(endpoint)
            logger.info("an agent is being read", metadata: ["name": "\(name)", "address": "\(endpoint.address)"])
            var intake = AgentIntake(name: name, position: position, spool: spool)
            for try await message in response.messages {
                intake.take(message.bytes, into: log)
                book.note(
                    endpoint, name, intake.position, received: intake.received, missed: intake.missed,
                    repeated: intake.repeated, malformed: intake.malformed)
                intake.forget()
            }
        }
    }
}
