import CertificateAuthority
import EventSpool
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import LinuxKernel
import Logging
import NIOPosix
import RPCServices
import RPCTransport
import ServiceLifecycle
import Synchronization
import Testing
import WireProtocol

@testable import RelayService

/// An authority, and a folder in which each party has its certificate.
final class TestFolder: Sendable {
    let path = "/tmp/portcullis-relay-\(UUID().uuidString.prefix(8))"
    let authority: AuthorityFolder

    init() throws {
        try FileManager.default.createDirectory(atPath: path + "/state", withIntermediateDirectories: true)
        authority = AuthorityFolder(path + "/tls")
        _ = try authority.create(trustDomain: "test.example", lifetime: 86_400)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Where the programs are: beside the test bundle.
    static let binaries: String = {
        for base in CommandLine.arguments + [Bundle.main.bundlePath] {
            var url = URL(fileURLWithPath: base)
            while url.path != "/" {
                url.deleteLastPathComponent()
                if FileManager.default.isExecutableFile(atPath: url.path + "/portcullisd") { return url.path }
            }
        }
        return ".build/debug"
    }()

    func texts(_ role: PeerRole, _ name: String) throws -> CredentialTexts {
        let identity = try #require(PeerIdentity(trustDomain: "test.example", role: role, name: name))
        let file = "\(role.rawValue)-\(name)"
        _ = try authority.issue(
            CertificateAuthority.Request(identity: identity, dnsNames: ["localhost"], lifetime: 3600), as: file)
        return try CredentialTexts.read(folder: authority.path, name: file)
    }
}

/// An agent as a relay sees one: gRPC by TLS, out of a real spool.
final class TestAgent: Sendable {
    let name: String
    let port: Int
    private let folder: String
    private let wake = WakeBroadcast()
    private let writer: Mutex<SpoolWriter>
    private let task: Mutex<Task<Void, any Error>?>
    private let texts: CredentialTexts

    init(_ name: String, _ texts: CredentialTexts, folder: String, port: Int = 0) throws {
        self.name = name
        self.texts = texts
        self.folder = folder + "/spool-\(name)-\(UUID().uuidString.prefix(4))"
        try FileManager.default.createDirectory(atPath: self.folder, withIntermediateDirectories: true)
        writer = Mutex(try SpoolWriter(directory: self.folder))
        task = Mutex(nil)
        let listener = try TCPSocket.listen(try #require(TCPSocket.Place("127.0.0.1:\(port)")))
        self.port = Int(try TCPSocket.port(of: listener.raw))
        try serve(try listener.duplicate().release())
    }

    deinit { stop() }

    private func serve(_ descriptor: Int32) throws {
        let peers = PeerRegistry()
        let source = SpoolSource(descriptor: open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), wake: wake)
        let server = GRPCServer(
            transport: HTTP2ServerTransport.Custom(
                listenerFactory: RPCListener(
                    descriptor: descriptor, security: .mutualTLS(try TLSCredentials(texts, accepting: [.relay])),
                    peers: peers,
                    group: .singletonMultiThreadedEventLoopGroup)),
            services: [
                TelemetryService(source: source, agent: name), HealthService(services: []), TestControl(agent: name),
            ],
            interceptors: [
                AuthorizationInterceptor(
                    peers: peers,
                    table: AuthorizationTable([
                        "portcullis.v1.Telemetry/Stream": [.relay], "grpc.health.v1.Health/Check": [.relay],
                        "portcullis.v1.Control/GetPolicies": [.relay], "portcullis.v1.Control/GetStatus": [.relay],
                        "portcullis.v1.Control/ApplyPolicies": [.relay],
                    ]))
            ])
        task.withLock { $0 = Task { try await server.serve() } }
    }

    /// Cuts every connection, and listens no more.
    func stop() { task.withLock { $0?.cancel() } }

    /// Listens again, at the same place.
    func restart() async throws {
        let end = ContinuousClock.now + .seconds(60)
        while true {
            do {
                let listener = try TCPSocket.listen(try #require(TCPSocket.Place("127.0.0.1:\(port)")))
                return try serve(try listener.duplicate().release())
            } catch {
                if ContinuousClock.now > end { throw error }
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    func alert(_ resources: [String], policy: String = "p", action: String = "Block") {
        writer.withLock { writer in
            for resource in resources {
                let bytes: [UInt8]? = try? Feeder_Alert.with {
                    ($0.resource, $0.policyName, $0.hostName, $0.action) = (resource, policy, name, action)
                    ($0.operation, $0.processName, $0.hostPid) = ("File", "/usr/bin/cat", 4711)
                    $0.result = action == "Block" ? "Permission denied" : "Passed"
                    $0.updatedTime = Date.ISO8601FormatStyle(includingFractionalSeconds: true).format(Date())
                    $0.timestamp = Int64(Date().timeIntervalSince1970)
                }.serializedBytes()
                writer.append(.alert, bytes ?? [])
            }
            writer.flush()
        }
        wake.signal()
    }

    /// Writes what need not be a record.
    func write(raw: [UInt8], times: Int = 1) {
        writer.withLock { writer in
            for _ in 0..<times { writer.append(.alert, raw) }
            writer.flush()
        }
        wake.signal()
    }
}

/// Answers for an agent's policies.
struct TestControl: Portcullis_V1_Control.SimpleServiceProtocol {
    let agent: String

    func getStatus(
        request: Portcullis_V1_StatusRequest, response: RPCWriter<Portcullis_V1_NodeStatus>, context: ServerContext
    ) async throws {
        let rule = #"{"policy":"policy-of-\#(agent)","enforcedBy":["fanotify"],"gaps":[]}"#
        let open = #"{"policy":"<img src=x onerror=alert(1)>","enforcedBy":[],"gaps":["\"><script>alert(2)</script>"]}"#
        let text = #"{"version":"0.1.0","generation":3,"rules":[\#(rule),\#(open)],"gaps":["no packet filter"]}"#
        try await response.write(
            .with {
                $0.agent = "somebody"
                $0.status = Data(text.utf8)
            })
    }

    func getPolicies(
        request: Portcullis_V1_PoliciesRequest, response: RPCWriter<Portcullis_V1_NodePolicies>, context: ServerContext
    ) async throws {
        try await response.write(
            .with {
                // What it calls itself does not count.
                $0.agent = "somebody"
                $0.policies = [
                    .with {
                        ($0.kind, $0.name, $0.action) = ("KubeArmorHostPolicy", "policy-of-\(agent)", "Block")
                        ($0.rules, $0.selected) = (1, true)
                    },
                    // Names that would be more than names on a page that does not take care.
                    .with {
                        ($0.kind, $0.name, $0.action) = ("KubeArmorPolicy", "<img src=x onerror=alert(1)>", "Audit")
                        ($0.namespace, $0.rules, $0.selected) = ("javascript:alert(3)", 1, true)
                    },
                ]
            })
    }

    func applyPolicies(
        request: Portcullis_V1_ApplyRequest, response: RPCWriter<Portcullis_V1_NodeResult>, context: ServerContext
    ) async throws {
        let names = request.documents.map { "\($0.name) of \($0.text.utf8.count) bytes" }
        try await response.write(.with { ($0.agent, $0.done, $0.messages) = ("somebody", true, names) })
    }

    func deletePolicy(
        request: Portcullis_V1_DeleteRequest, response: RPCWriter<Portcullis_V1_NodeResult>, context: ServerContext
    ) async throws {}
}

/// A running relay.
final class TestRelay: Sendable {
    let relay: Relay
    let socket: String
    private let task: Task<Void, any Error>
    private let group: ServiceGroup

    init(_ folder: TestFolder, _ change: (inout RelayConfiguration) -> Void) throws {
        var configuration = RelayConfiguration()
        configuration.tlsFolder = folder.authority.path
        configuration.stateDirectory = folder.path + "/state"
        configuration.socket = folder.path + "/grpc.sock"
        // A machine that is slow for a while is no reason to leave records out.
        configuration.freshMilliseconds = 0
        change(&configuration)
        socket = configuration.socket
        let identity = try #require(PeerIdentity(trustDomain: "test.example", role: .relay, name: "r1"))
        _ = try folder.authority.issue(
            CertificateAuthority.Request(identity: identity, dnsNames: ["localhost"], lifetime: 3600), as: "relay")
        var logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .critical
        relay = try Relay(configuration, logger: logger)
        var settings = ServiceGroupConfiguration(services: relay.services, logger: logger)
        settings.maximumGracefulShutdownDuration = .seconds(3)
        let group = ServiceGroup(configuration: settings)
        self.group = group
        task = Task { try await group.run() }
    }

    /// Stops in order.
    func stop() async {
        await group.triggerGracefulShutdown()
        _ = await task.result
    }

    func withClient<Result: Sendable>(
        _ body: @Sendable (GRPCClient<HTTP2ClientTransport.Posix>) async throws -> Result
    ) async throws -> Result {
        try await withGRPCClient(transport: try RPCConnector.local(path: socket), handleClient: body)
    }

    /// Alerts from the oldest that the relay has, until there are so many.
    func alerts(_ count: Int, from start: UInt64? = 0, filter: [String: String] = [:], agents: [String] = [])
        async throws -> [Feeder_Alert]
    {
        try await withClient { client in
            let request = Portcullis_V1_StreamRequest.with {
                $0.kinds = [.alert]
                if let start { $0.resume = [.with { ($0.kind, $0.after) = (.alert, start) }] }
                $0.filter = filter
                $0.agents = agents
            }
            return try await Portcullis_V1_Telemetry.Client(wrapping: client).stream(request) { response in
                var alerts: [Feeder_Alert] = []
                for try await batch in response.messages {
                    for record in batch.records where !record.payload.isEmpty {
                        alerts.append(try Feeder_Alert(serializedBytes: record.payload))
                    }
                    if alerts.count >= count { break }
                }
                return alerts
            }
        }
    }

    /// Where the web server listens, once it does.
    func webPort() async throws -> Int {
        let end = ContinuousClock.now + .seconds(60)
        while relay.web?.port == nil, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(10)) }
        return try #require(relay.web?.port)
    }

    /// Waits until a condition on the agents holds.
    func wait(for condition: @Sendable ([AgentBook.Entry]) -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(60)
        while !condition(relay.book.all) {
            try #require(ContinuousClock.now < end, "\(relay.book.all)")
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}
