import EventSpool
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import LinuxKernel
import NIOPosix
import RPCServices
import RPCTransport
import Testing
import WireProtocol

@testable import RelayService

/// Agents that connect by themselves and bring their records.
@Suite(.serialized, .timeLimit(.minutes(10))) struct PushTests {
    /// A relay that lets agents push, and its port.
    private struct Site {
        let folder: TestFolder
        let relay: TestRelay
        let port: Int

        init(_ names: [String], _ change: (TestFolder, inout RelayConfiguration) throws -> Void = { _, _ in }) throws {
            let folder = try TestFolder()
            self.folder = folder
            let port = try freePort()
            self.port = port
            var problem: (any Error)?
            relay = try TestRelay(folder) {
                $0.listen = ["127.0.0.1:\(port)"]
                $0.pushAgents = names
                do { try change(folder, &$0) } catch { problem = error }
            }
            if let problem { throw problem }
        }

        /// Asks as somebody.
        func asking<Result: Sendable>(
            _ role: PeerRole, _ name: String,
            _ body: @Sendable (GRPCClient<HTTP2ClientTransport.Posix>) async throws -> Result
        ) async throws -> Result {
            let credentials = try TLSCredentials(folder.texts(role, name), accepting: [.relay])
            let transport = try RPCConnector.secure(
                host: "127.0.0.1", port: port, credentials: credentials,
                expecting: RPCConnector.Expectation(role: .relay))
            return try await withGRPCClient(transport: transport, handleClient: body)
        }

        /// Pushes alerts and ends the stream; answers that came.
        func push(_ name: String, _ alerts: [Feeder_Alert], role: PeerRole = .agent) async throws -> Int {
            try await asking(role, name) { client in
                try await Feeder_PushLogService.Client(wrapping: client).pushAlerts {
                    try await $0.write(contentsOf: alerts)
                } onResponse: { response in
                    try await response.messages.reduce(into: 0) { count, _ in count += 1 }
                }
            }
        }
    }

    private static func freePort() throws -> Int {
        let socket = try TCPSocket.listen(try #require(TCPSocket.Place("127.0.0.1:0")))
        return Int(try TCPSocket.port(of: socket.raw))
    }

    private static func alert(_ resource: String) -> Feeder_Alert {
        .with { ($0.resource, $0.policyName, $0.hostName) = (resource, "p", "somebody") }
    }

    @Test func whatIsPushedReachesClientsAndTheHistory() async throws {
        let site = try Site(["node-*"])
        let answers = try await site.push("node-1", (1...500).map { Self.alert("/one/\($0)") })
        #expect(answers == 0, "an answer would be the end of the stream to KubeArmor's agents")
        _ = try await site.push("node-2", (1...500).map { Self.alert("/two/\($0)") })
        let alerts = try await site.relay.alerts(1000)
        for (agent, word) in [("node-1", "one"), ("node-2", "two")] {
            let own = alerts.filter { $0.agent == agent }
            #expect(own.map(\.resource) == (1...500).map { "/\(word)/\($0)" })
            #expect(own.map(\.agentSequence) == Array(1...500))
        }
        // A second connection goes on where the first was.
        _ = try await site.push("node-1", [Self.alert("/one/501")])
        #expect(try await site.relay.alerts(1, filter: ["Resource": "/one/501"]).first?.agentSequence == 501)
        try await site.relay.wait { $0.count == 2 && $0.allSatisfy { !$0.isConnected } }
        #expect(site.relay.relay.book.all.map(\.received) == [501, 500])
        #expect(site.relay.relay.book.all.first?.address == "pushes from 127.0.0.1")
        let end = ContinuousClock.now + .seconds(60)
        var query = History.Query()
        query.texts[.agent] = "node-2"
        while try site.relay.relay.history.records(query).count < 500, ContinuousClock.now < end {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(try site.relay.relay.history.records(query).count == 500)
        await site.relay.stop()
    }

    /// KubeArmor's own protos and another implementation of gRPC: alerts, logs and messages, every field.
    @Test func aForeignAgentPushes() async throws {
        let site = try Site(["node-1"])
        _ = try site.folder.texts(.agent, "node-1")
        let package = URL(fileURLWithPath: #filePath).pathComponents.prefix { $0 != "Tests" }.joined(separator: "/")
        let shared = ProcessInfo.processInfo.environment["PORTCULLIS_SHARED"] ?? package + "/../shared"
        let protos = site.folder.path + "/protos"
        _ = try await WebClient.run([
            package + "/integration/foreign-client/build-protos", shared + "/compat/grpc-api.md", protos,
        ])
        let alert =
            #"{"Timestamp":"1","HostName":"somebody","PodName":"pod","HostPID":4711,"PolicyName":"p","Resource":"/etc/shadow","Action":"Block","Owner":{"Ref":"Deployment","Name":"d","Namespace":"ns"},"ExecEvent":{"ExecID":"7","ExecutableName":"cat"},"EventData":{"Lsm":"FILE_OPEN"},"UserName":"root"}"#
        let log = #"{"HostName":"somebody","Type":"HostLog","Resource":"/bin/ls","EventData":{"Syscall":"SYS_EXECVE"}}"#
        let message = #"{"HostName":"somebody","Type":"INFO","Message":"started"}"#
        for (kind, line) in [("alerts", alert), ("logs", log), ("messages", message)] {
            let file = site.folder.path + "/\(kind)"
            try "\(line)\n\(line)\n".write(toFile: file, atomically: true, encoding: .utf8)
            let words = [
                "sh", "-c", #"exec "$@" < "$0" 2>&1"#, file, "env", "PYTHONPATH=\(package)/.build-python", "python3",
                package + "/integration/foreign-client/client", "--timeout", "120", "--tls", site.folder.authority.path,
                "agent-node-1", "--server-name", "localhost", protos, "127.0.0.1:\(site.port)", "push", kind,
            ]
            let output = try await WebClient.run(words)
            #expect(output == "{\"nonce\": 4711, \"answers\": 0, \"code\": \"OK\"}\n", "\(kind)")
        }
        let alerts = try await site.relay.alerts(2)
        let first = try #require(alerts.first)
        #expect(alerts.map(\.agentSequence) == [1, 2] && alerts.allSatisfy { $0.agent == "node-1" })
        #expect((first.timestamp, first.hostPid, first.userName) == (1, 4711, "root"))
        #expect((first.policyName, first.resource, first.action) == ("p", "/etc/shadow", "Block"))
        #expect((first.owner.ref, first.owner.name, first.owner.namespace) == ("Deployment", "d", "ns"))
        #expect((first.execEvent.execID, first.execEvent.executableName) == ("7", "cat"))
        #expect(first.eventData == ["Lsm": "FILE_OPEN"])
        #expect(site.relay.relay.log.newestSequence(.log) == 2 && site.relay.relay.log.newestSequence(.message) == 2)
        await site.relay.stop()
    }

    /// Who is not expected gets nowhere, and an agent that may push may do nothing else.
    @Test("threat/T09 an agent that may push may do nothing else") func onlyWhoIsExpectedPushes() async throws {
        let site = try Site(["node-1"]) { folder, configuration in
            _ = try folder.texts(.agent, "node-1")
            configuration.web.listen = "127.0.0.1:0"
        }
        func code(_ body: () async throws -> Void) async -> RPCError.Code? {
            do {
                try await body()
                return nil
            } catch { return (error as? RPCError)?.code }
        }
        #expect(await code { _ = try await site.push("rogue", [Self.alert("/rogue")]) } == .permissionDenied)
        #expect(await code { _ = try await site.push("ann", [Self.alert("/rogue")], role: .cli) } == .permissionDenied)
        for method in RelayMethods.table(mayChange: true, takesPushes: true).methods
        where !method.hasPrefix(PushService.name) {
            #expect(!RelayMethods.table(mayChange: true, takesPushes: true).permits(.agent, method), "\(method)")
        }
        let watched = await code {
            try await site.asking(.agent, "node-1") { client in
                try await Feeder_LogService.Client(wrapping: client).watchAlerts(.with { $0.filter = "all" }) {
                    for try await _ in $0.messages {}
                }
            }
        }
        #expect(watched == .permissionDenied)
        // The page is nothing for agents either: TLS is over before a byte of HTTP.
        let page = WebClient(port: try await site.relay.webPort(), folder: site.folder, certificate: "agent-node-1")
        #expect(try await page.ask("/healthz").status == 0)
        #expect(site.relay.relay.log.appended == 0)
        let audit = site.folder.path + "/state/audit"
        let records = try FileManager.default.contentsOfDirectory(atPath: audit).filter { $0.hasSuffix(".jsonl") }
            .map { try String(contentsOfFile: audit + "/" + $0, encoding: .utf8) }.joined()
        #expect(records.contains("spiffe://test.example/agent/rogue"))
        #expect(records.contains("role cli may not call feeder.PushLogService/PushAlerts"))
        await site.relay.stop()
    }

    /// Machines come and go under new names, and the relay does not grow by them. Who pushes is never forgotten.
    @Test func namesThatAreGoneAreForgotten() throws {
        let (book, log) = (AgentBook(), FanOutLog(limit: 1 << 20))
        let records = PushedRecords(names: ["*"], collecting: [.alert], book: book, log: log, remembering: 3)
        let alert: [UInt8] = try Self.alert("/x").serializedBytes()
        func begin(_ name: String) throws -> PushedRecords.Stream {
            let identity = PeerIdentity(trustDomain: "test.example", role: .agent, name: name)
            return try records.begin(
                Peer(role: .agent, name: name, identity: identity, address: "127.0.0.1:1"), .alert)
        }
        func push(_ name: String) throws -> UInt64? {
            let stream = try begin(name)
            stream.take(alert)
            stream.end()
            return book.position(name)?.next[.alert]
        }
        let open = try begin("stays")
        open.take(alert)
        #expect(try push("first") == 2 && push("second") == 2)
        #expect(try push("first") == 3, "its numbers go on")
        #expect(try push("third") == 2)
        #expect(book.all.map(\.name) == ["first", "stays", "third"], "who left first is forgotten first")
        #expect(try push("second") == 2, "and begins anew")
        for number in 1...1000 { _ = try push("vm-\(number)") }
        #expect(records.count == 3 && book.all.map(\.name) == ["stays", "vm-1000", "vm-999"])
        #expect(book.position("vm-1") == nil && book.position("first") == nil)
        open.take(alert)
        #expect(book.position("stays")?.next[.alert] == 3)
        open.end()
        #expect(log.appended == 1007)
    }

    /// Without `pushAgents` an agent's certificate opens nothing.
    @Test func nobodyPushesUnlessConfigured() async throws {
        let site = try Site([])
        let error = await #expect(throws: RPCError.self) { _ = try await site.push("node-1", [Self.alert("/x")]) }
        #expect(error?.code == .unavailable)
        #expect(site.relay.relay.log.appended == 0)
        await site.relay.stop()
    }

    /// Two of one name are one too many, whether both push or one is read. Records that no client can read are counted, and their
    /// numbers are missing.
    @Test("threat/T02 two that push under one name are one too many") func oneNameIsOnePlace() async throws {
        let site = try Site(["node-1", "node-2"])
        try await site.asking(.agent, "node-1") { client in
            try await Feeder_PushLogService.Client(wrapping: client).pushAlerts { writer in
                try await writer.write(Self.alert("/first"))
                _ = try await site.relay.alerts(1)
                let second = await #expect(throws: RPCError.self) {
                    _ = try await site.push("node-1", [Self.alert("/second")])
                }
                #expect(second?.code == .alreadyExists)
                // What only a relay may say.
                try await writer.write(.with { ($0.resource, $0.agent) = ("/lie", "node-2") })
                try await writer.write(Self.alert("/third"))
            } onResponse: {
                for try await _ in $0.messages {}
            }
        }
        let alerts = try await site.relay.alerts(2)
        #expect(alerts.map(\.resource) == ["/first", "/third"])
        #expect(alerts.map(\.agentSequence) == [1, 3])
        #expect(site.relay.relay.book.all.first?.malformed == 1)
        let endpoint = AgentEndpoint(host: "127.0.0.1", port: 1, names: ["node-2"])
        #expect(site.relay.relay.book.connect(endpoint, as: "node-2"))
        let third = await #expect(throws: RPCError.self) { _ = try await site.push("node-2", [Self.alert("/x")]) }
        #expect(third?.code == .alreadyExists)
        await site.relay.stop()
    }
}
