// Load on a relay: simulated agents, each a gRPC server with mutual TLS, one real relay, clients that measure.
//
//     relay-benchmark RELAY [AGENTS RATE CLIENTS SECONDS]
//     relay-benchmark direct [RECORDS]
//
// `direct`: how fast one client reads a spool over a unix socket, and as many messages that cost nothing to make.
import CertificateAuthority
import EventSpool
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import LinuxKernel
import NIOPosix
import RPCServices
import RPCTransport
import WireProtocol

let arguments = Array(CommandLine.arguments.dropFirst())
let numbers = arguments.dropFirst().compactMap { Int($0) }
let folder = "/tmp/portcullis-load-\(getpid())"
try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
defer { try? FileManager.default.removeItem(atPath: folder) }

if arguments.first == "direct" {
    try await measureDirect(records: numbers.first ?? 100_000, folder: folder)
} else if let relay = arguments.first {
    try await measureRelay(
        program: relay, agents: numbers.first ?? 100, rate: numbers.dropFirst().first ?? 2000,
        clients: numbers.dropFirst(2).first ?? 10, seconds: numbers.dropFirst(3).first ?? 20, folder: folder)
} else {
    print("usage: relay-benchmark RELAY [AGENTS RATE CLIENTS SECONDS] | direct [RECORDS]")
}

/// 100 agents, one relay, 10 clients.
func measureRelay(program: String, agents count: Int, rate: Int, clients: Int, seconds: Int, folder: String) async throws {
    let authority = AuthorityFolder(folder + "/tls")
    _ = try authority.create(trustDomain: "load.example", lifetime: 86_400)
    func texts(_ role: PeerRole, _ name: String, _ file: String) throws -> CredentialTexts {
        guard let identity = PeerIdentity(trustDomain: "load.example", role: role, name: name) else { throw BenchmarkProblem(text: name) }
        _ = try authority.issue(CertificateAuthority.Request(identity: identity, lifetime: 3600), as: file)
        return try CredentialTexts.read(folder: authority.path, name: file)
    }
    _ = try texts(.relay, "relay", "relay")
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    // Everybody is connected by then.
    let start = ContinuousClock.now + .seconds(30)
    let agents = try (1...count).map { number in
        let name = "node\(number)"
        return try SimulatedAgent(
            name, texts(.agent, name, name),
            GeneratedRecords(name: name, rate: Double(rate), start: start, seconds: Double(seconds)), group)
    }
    let place = "127.0.0.1:\(Int.random(in: 20_000...30_000))"
    let configuration = """
        listen: ["\(place)"]
        tlsFolder: \(authority.path)
        stateDirectory: \(folder)/state
        collectLogs: false
        agents:
        \(agents.map { "  - {name: \($0.name), address: \"127.0.0.1:\($0.port)\"}" }.joined(separator: "\n"))
        """
    try configuration.write(toFile: folder + "/relay.yaml", atomically: true, encoding: .utf8)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = ["--config", folder + "/relay.yaml"]
    _ = FileManager.default.createFile(atPath: folder + "/relay.log", contents: nil)
    process.standardError = FileHandle(forWritingAtPath: folder + "/relay.log")
    try process.run()
    defer { process.terminate() }
    let credentials = try TLSCredentials(texts(.cli, "load", "load"), accepting: [.relay])
    let port = Int(place.split(separator: ":")[1]) ?? 0
    let results = (0..<clients).map { _ in Measurement() }
    let readers = results.map { result in
        Task {
            // The relay may not listen yet.
            while !Task.isCancelled, result.numbers.withLock({ $0.received }) == 0 {
                do {
                    try await read(port: port, credentials, group, result)
                } catch {
                    print("a client waits: \(error)")
                    try await Task.sleep(for: .milliseconds(500))
                }
            }
        }
    }
    try await Task.sleep(until: start + .seconds(seconds), clock: .continuous)
    let produced = agents.reduce(0) { $0 + $1.records.due }
    // Until nothing more comes, or everybody has it all.
    var last: UInt64 = .max
    for _ in 0..<120 {
        let sum = results.reduce(0) { sum, result in sum + result.numbers.withLock { $0.received + $0.missed } }
        if sum == produced * UInt64(clients) || (sum > 0 && sum == last) { break }
        last = sum
        try await Task.sleep(for: .seconds(2))
    }
    let status = (try? String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)) ?? ""
    let peak = status.split(separator: "\n").first { $0.hasPrefix("VmHWM") } ?? ""
    print("\(count) agents × \(rate)/s × \(seconds) s: \(produced) alerts made; \(clients) clients")
    for (index, result) in results.enumerated() {
        let numbers = result.numbers.withLock { $0 }
        let untold = Int64(produced) - Int64(numbers.received + numbers.missed)
        print(
            "client \(index + 1): \(numbers.received) received, \(numbers.missed) told to be missed, \(untold) neither; delay p50 \(numbers.delay(0.5)) ms, p99 \(numbers.delay(0.99)) ms, most \(numbers.delay(1)) ms"
        )
    }
    print("relay: \(peak)")
    if results.contains(where: { $0.numbers.withLock { $0.received } == 0 }) {
        print((try? String(contentsOfFile: folder + "/relay.log", encoding: .utf8).suffix(2000)) ?? "")
    }
    for reader in readers { reader.cancel() }
    for agent in agents { agent.stop() }
}

/// One client of the relay, until its stream ends.
func read(port: Int, _ credentials: TLSCredentials, _ group: MultiThreadedEventLoopGroup, _ result: Measurement) async throws {
    let transport = try RPCConnector.secure(
        host: "127.0.0.1", port: port, credentials: credentials, expecting: RPCConnector.Expectation(role: .relay), group: group)
    try await withGRPCClient(transport: transport) { client in
        try await client.serverStreaming(
            request: ClientRequest(message: Portcullis_V1_StreamRequest.with { $0.kinds = [.alert] }),
            descriptor: Portcullis_V1_Telemetry.Method.Stream.descriptor,
            serializer: BenchmarkSerializer(), deserializer: RawDeserializer(), options: .defaults
        ) { for try await message in $0.messages { result.take(message.bytes) } }
    }
}
