import CertificateAuthority
import EventSpool
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import LinuxKernel
import RPCServices
import RPCTransport
import Testing
import WireProtocol

@testable import RelayService

/// What those who do not read cost a relay, which is a process of its own here.
@Suite(.serialized, .timeLimit(.minutes(10))) struct SlowUserTests {
    /// Kibibytes of a line of /proc/PID/status.
    private static func memory(_ pid: Int32, _ line: String) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        let text = try #require(status.split(separator: "\n").first { $0.hasPrefix(line + ":") })
        return try #require(text.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) })
    }

    /// 20 streams that take ten bytes a second of the 40 MB there are: a relay that kept for each what it has not taken would need 800 MB.
    @Test("threat/T24 users that do not read take no memory of the relay") func nothingIsKeptForSlowUsers() async throws
    {
        let folder = try TestFolder()
        let agent = try TestAgent("node1", folder.texts(.agent, "node1"), folder: folder.path)
        _ = try folder.texts(.cli, "ann")
        let bob = try TLSCredentials(folder.texts(.cli, "bob"), accepting: [.relay])
        let identity = try #require(PeerIdentity(trustDomain: "test.example", role: .relay, name: "r1"))
        _ = try folder.authority.issue(
            CertificateAuthority.Request(identity: identity, dnsNames: ["localhost"], lifetime: 3600), as: "relay")
        let free = try TCPSocket.listen(try #require(TCPSocket.Place("127.0.0.1:0")))
        let port = Int(try TCPSocket.port(of: free.raw))
        // Given back, so that the relay can have it.
        _ = consume free
        try """
        listen: ["127.0.0.1:\(port)"]
        tlsFolder: \(folder.authority.path)
        stateDirectory: \(folder.path)/state
        memoryBytes: 4194304
        historyRecords: 1000
        freshMilliseconds: 0
        agents: [{name: node1, address: "127.0.0.1:\(agent.port)"}]
        """.write(toFile: folder.path + "/relay.yaml", atomically: true, encoding: .utf8)
        let relay = try WebStream([TestFolder.binaries + "/portcullis-relay", "--config", folder.path + "/relay.yaml"])
        /// Reads until there were so many, or until so many are told to be gone.
        func read(_ count: Int) async throws -> Int {
            let transport = try RPCConnector.secure(
                host: "127.0.0.1", port: port, credentials: bob, expecting: RPCConnector.Expectation(role: .relay))
            let request = Portcullis_V1_StreamRequest.with {
                $0.kinds = [.alert]
                $0.resume = [.with { $0.kind = .alert }]
            }
            return try await withGRPCClient(transport: transport) { client in
                try await Portcullis_V1_Telemetry.Client(wrapping: client).stream(request) { response in
                    var sum = 0
                    for try await batch in response.messages {
                        sum += batch.records.reduce(0) { $0 + 1 + Int($1.missed) }
                        if sum >= count { break }
                    }
                    return sum
                }
            }
        }
        agent.alert(["/first"])
        #expect(try await read(1) == 1)
        let all = folder.path + "/all"
        try Data([0, 0, 0, 0, 5, 0x0a, 3, 0x61, 0x6c, 0x6c]).write(to: URL(fileURLWithPath: all))
        let users = try (0..<20).map { _ in
            try WebStream([
                "curl", "-skN", "--limit-rate", "10", "-m", "300", "--http2", "-o", "/dev/null",
                "--cert", folder.authority.path + "/cli-ann.crt", "--key", folder.authority.path + "/cli-ann.key",
                "-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary", "@" + all,
                "https://127.0.0.1:\(port)/feeder.LogService/WatchAlerts",
            ])
        }
        func begun() throws -> Int {
            let path = folder.path + "/state/audit"
            return try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".jsonl") }
                .map { try String(contentsOfFile: path + "/" + $0, encoding: .utf8) }.joined()
                .split(separator: "\n").count { $0.contains("WatchAlerts") && $0.contains("\"request\"") }
        }
        let end = ContinuousClock.now + .seconds(120)
        while try begun() < users.count, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(50)) }
        #expect(try begun() >= users.count)
        let before = try Self.memory(relay.pid, "VmRSS")
        let large: [UInt8] = try Feeder_Alert.with {
            ($0.resource, $0.message) = ("/etc/shadow", String(repeating: "m", count: 1000))
        }.serializedBytes()
        for _ in 0..<40 { agent.write(raw: large, times: 1000) }
        // Others are served meanwhile.
        #expect(try await read(40_001) == 40_001)
        let peak = try Self.memory(relay.pid, "VmHWM")
        #expect(peak - before < 200 << 10, "\(before) KiB before, \(peak) at most")
        withExtendedLifetime(users) {}
    }
}
