import EventSpool
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import LinuxKernel
import NIOPosix
import RPCServices
import RPCTransport
import Synchronization
import WireProtocol

/// Makes alerts at a rate, as an agent's spool would give them out: who is late gets what is due, up to what a spool holds.
final class GeneratedRecords: RecordSource {
    let spool: UInt64
    let rate: Double
    let start: ContinuousClock.Instant
    let seconds: Double
    private let template: [UInt8]
    /// Bytes of a record in a spool.
    let recordBytes: Int
    /// Records that a spool of 64 MiB holds.
    let depth: UInt64

    init(name: String, rate: Double, start: ContinuousClock.Instant, seconds: Double) throws {
        (self.rate, self.start, self.seconds) = (rate, start, seconds)
        spool = UInt64.random(in: 1...UInt64.max)
        template = try Feeder_Alert.with {
            $0.updatedTime = "2026-11-28T07:30:00.123456Z"
            ($0.clusterName, $0.hostName, $0.nodeID) = ("default", name, "3d1219c7c4c5404aaa1f6d2a48adfda4")
            ($0.hostPpid, $0.hostPid, $0.ppid, $0.pid) = (1, 4711, 1, 4711)
            ($0.policyName, $0.severity, $0.message) = ("protect-credentials", "5", "Somebody opened credentials")
            ($0.type, $0.source, $0.operation) = ("MatchedHostPolicy", "/usr/bin/cat /etc/shadow", "File")
            ($0.resource, $0.data, $0.action, $0.result) = (
                "/etc/shadow", "lsm=FILE_OPEN", "Block", "Permission denied"
            )
            ($0.parentProcessName, $0.processName, $0.enforcer) = ("/usr/bin/bash", "/usr/bin/cat", "fanotify")
            ($0.cwd, $0.tty, $0.kubeArmorVersion) = ("/", "pts0", "0.1.0")
            $0.execEvent = .with { ($0.execID, $0.executableName) = ("0", "cat") }
            $0.eventData = ["Lsm": "FILE_OPEN"]
        }.serializedBytes()
        recordBytes = template.count + 40
        depth = UInt64((64 << 20) / recordBytes)
    }

    /// Records that exist by now. The first one, by which the relay knows the agent, is there before the others, and behind the
    /// moment at which clients are there.
    var due: UInt64 {
        let elapsed = min(seconds, (ContinuousClock.now - start) / .seconds(1))
        return elapsed > 0 ? max(1, UInt64(elapsed * rate)) : elapsed > -10 ? 1 : 0
    }

    /// Nanoseconds at which a record was made.
    fileprivate func time(_ sequence: UInt64, _ origin: UInt64) -> UInt64 {
        origin + UInt64(Double(sequence) / rate * 1e9)
    }

    fileprivate func payload(_ time: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(template.count + 12)
        // Field 1, the timestamp: nanoseconds here, for the measurement.
        ProtobufBytes.field(1, time, to: &bytes)
        bytes.append(contentsOf: template)
        return bytes
    }

    /// A record of these.
    var sample: [UInt8] { payload(SpoolWriter.realTime()) }

    func open(_ request: RecordRequest) throws -> any RecordCursor { GeneratedCursor(self, request.freshness) }
}

private final class GeneratedCursor: RecordCursor {
    private struct State {
        var next: UInt64 = 1
        var gate: FreshnessGate?
    }

    private let source: GeneratedRecords
    private let state: Mutex<State>
    private let isCancelled = Atomic<Bool>(false)
    private let origin: UInt64
    /// Records of 16 KiB or 256 KiB, as a spool gives them out.
    private let batch: UInt64

    init(_ source: GeneratedRecords, _ freshness: UInt64?) {
        self.source = source
        let age = (ContinuousClock.now - source.start) / .nanoseconds(1)
        let now = SpoolWriter.realTime()
        origin = UInt64(Double(now) - age)
        batch = freshness == nil ? 680 : 42
        state = Mutex(State(gate: freshness.map { FreshnessGate(limit: $0, isLive: false, now: now) }))
    }

    var spool: UInt64 { source.spool }

    func next(_ body: (RecordView) -> Void) async throws {
        while true {
            if isCancelled.load(ordering: .relaxed) { throw CancellationError() }
            let due = source.due
            let given = state.withLock { state -> Bool in
                guard due >= state.next else {
                    state.gate?.caughtUp()
                    return false
                }
                give(due, &state, body)
                return true
            }
            if given { return }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    private func give(_ due: UInt64, _ state: inout State, _ body: (RecordView) -> Void) {
        let before = state.next
        // What is over the size of a spool is gone.
        if due - state.next >= source.depth { state.next = due - source.depth + 1 }
        let waiting = Int(due - state.next + 1) * source.recordBytes
        let bound =
            state.gate?.bound(
                waiting: waiting, oldest: source.time(state.next, origin), now: SpoolWriter.realTime()) ?? 0
        let tolerated = UInt64(FreshnessGate.tolerance / source.recordBytes)
        while bound > 0, due - state.next >= tolerated, source.time(state.next, origin) < bound { state.next += 1 }
        var missed = state.next - before
        for sequence in state.next...min(due, state.next + batch - 1) {
            source.payload(source.time(sequence, origin)).withUnsafeBytes {
                body(RecordView(spool: spool, kind: .alert, sequence: sequence, missed: missed, time: 0, payload: $0))
            }
            missed = 0
            state.next = sequence + 1
        }
    }

    func cancel() { isCancelled.store(true, ordering: .relaxed) }
}

/// An agent: a gRPC server by TLS with a certificate of its own.
final class SimulatedAgent: Sendable {
    let name: String
    let port: Int
    let records: GeneratedRecords
    private let task: Task<Void, any Error>

    init(_ name: String, _ texts: CredentialTexts, _ records: GeneratedRecords, _ group: MultiThreadedEventLoopGroup)
        throws
    {
        (self.name, self.records) = (name, records)
        guard let place = TCPSocket.Place("127.0.0.1:0") else { throw BenchmarkProblem(text: "no place") }
        let socket = try TCPSocket.listen(place)
        port = Int(try TCPSocket.port(of: socket.raw))
        let peers = PeerRegistry()
        let server = GRPCServer(
            transport: HTTP2ServerTransport.Custom(
                listenerFactory: RPCListener(
                    descriptor: try socket.duplicate().release(),
                    security: .mutualTLS(try TLSCredentials(texts, accepting: [.relay])),
                    peers: peers, group: group)),
            services: [TelemetryService(source: records, agent: name), HealthService(services: [])],
            interceptors: [
                AuthorizationInterceptor(
                    peers: peers,
                    table: AuthorizationTable([
                        "portcullis.v1.Telemetry/Stream": [.relay], "grpc.health.v1.Health/Check": [.relay],
                    ]))
            ])
        task = Task { try await server.serve() }
    }

    func stop() { task.cancel() }
}

struct BenchmarkProblem: Error { var text: String }
