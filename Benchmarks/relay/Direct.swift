import EventSpool
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import LinuxKernel
import NIOPosix
import RPCServices
import RPCTransport
import WireProtocol

/// Writes one record that is encoded already, as often as is asked for: what gRPC itself costs.
struct ConstantService: RegistrableRPCService {
    static let method = MethodDescriptor(fullyQualifiedService: "benchmark.Constant", method: "Stream")
    let record: RawMessage
    let count: Int
    /// Messages in one write.
    static let batch = 500

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        router.registerHandler(
            forMethod: Self.method, deserializer: RawDeserializer(), serializer: RawSerializer()
        ) { [record, count] request, _ in
            _ = try await ServerRequest(stream: request).message
            return StreamingServerResponse { writer in
                let records = [RawMessage](repeating: record, count: Self.batch)
                for _ in 0..<(count / Self.batch) { try await writer.write(contentsOf: records) }
                return [:]
            }
        }
    }
}

/// How a client reads.
private enum Way: String, CaseIterable {
    case batches = "portcullis.v1.Telemetry/Stream"
    case alerts = "feeder.LogService/WatchAlerts, not decoded"
    case decoded = "feeder.LogService/WatchAlerts, decoded"
    case nothing = "a constant, not decoded"
}

/// One client reads a spool over a unix socket, by both services, and the same amount of nothing.
func measureDirect(records count: Int, folder: String) async throws {
    try FileManager.default.createDirectory(atPath: folder + "/spool", withIntermediateDirectories: true)
    let source = try GeneratedRecords(name: "node1", rate: 1e9, start: .now, seconds: 1)
    var writer = try SpoolWriter(directory: folder + "/spool", limits: SpoolLimits(totalBytes: 1 << 30))
    for _ in 0..<count { writer.append(.alert, source.sample) }
    writer.flush()
    let socket = try UnixSocket.listen(path: folder + "/grpc.sock", mode: 0o600).release()
    let peers = PeerRegistry()
    let spool = SpoolSource(descriptor: open(folder + "/spool", O_RDONLY | O_DIRECTORY | O_CLOEXEC), wake: WakeBroadcast())
    let table = AuthorizationTable([
        "portcullis.v1.Telemetry/Stream": [.local], "feeder.LogService/WatchAlerts": [.local],
        ConstantService.method.fullyQualifiedMethod: [.local],
    ])
    let server = GRPCServer(
        transport: HTTP2ServerTransport.Custom(
            listenerFactory: RPCListener(
                descriptor: socket, security: .local(users: [geteuid()]), peers: peers,
                group: MultiThreadedEventLoopGroup(numberOfThreads: 1))),
        services: [
            LogService(source: spool), TelemetryService(source: spool),
            ConstantService(record: RawMessage(source.sample), count: count),
        ],
        interceptors: [AuthorizationInterceptor(peers: peers, table: table)])
    let serving = Task { try await server.serve() }
    defer { serving.cancel() }
    var rates: [Way: [Int]] = [:]
    for _ in 1...5 {
        for way in Way.allCases {
            let begin = ContinuousClock.now
            try await withGRPCClient(transport: try RPCConnector.local(path: folder + "/grpc.sock")) { client in
                try await read(client, way, count)
            }
            rates[way, default: []].append(Int(Double(count) / ((ContinuousClock.now - begin) / .seconds(1))))
        }
    }
    print("\(count) alerts of \(source.sample.count) bytes, one client on a unix socket; alerts a second, median and all of 5 rounds")
    for way in Way.allCases {
        let all = rates[way, default: []]
        print("\(way.rawValue): \(all.sorted()[all.count / 2]) \(all)")
    }
}

private func read(_ client: GRPCClient<HTTP2ClientTransport.Posix>, _ way: Way, _ count: Int) async throws {
    let everything = Feeder_RequestMessage.with { ($0.filter, $0.resumeAfter) = ("all", 0) }
    func raw(_ method: MethodDescriptor, _ request: RawMessage) async throws {
        try await client.serverStreaming(
            request: ClientRequest(message: request), descriptor: method, serializer: RawSerializer(),
            deserializer: RawDeserializer(), options: .defaults
        ) {
            var received = 0
            for try await _ in $0.messages {
                received += 1
                if received >= count { return }
            }
        }
    }
    switch way {
    case .batches:
        let measurement = Measurement()
        let request = Portcullis_V1_StreamRequest.with {
            $0.kinds = [.alert]
            $0.resume = [.with { $0.kind = .alert }]
        }
        try await client.serverStreaming(
            request: ClientRequest(message: request), descriptor: Portcullis_V1_Telemetry.Method.Stream.descriptor,
            serializer: BenchmarkSerializer(), deserializer: RawDeserializer(), options: .defaults
        ) {
            for try await message in $0.messages {
                measurement.take(message.bytes)
                if measurement.numbers.withLock({ $0.received }) >= UInt64(count) { return }
            }
        }
    case .alerts:
        try await raw(Feeder_LogService.Method.WatchAlerts.descriptor, RawMessage(try everything.serializedBytes()))
    case .nothing: try await raw(ConstantService.method, RawMessage([]))
    case .decoded:
        try await Feeder_LogService.Client(wrapping: client).watchAlerts(everything) {
            var received = 0
            for try await _ in $0.messages {
                received += 1
                if received >= count { return }
            }
        }
    }
}
