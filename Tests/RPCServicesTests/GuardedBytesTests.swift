import EventSpool
import Foundation
import GRPCCore
import RPCServices
import SwiftProtobuf
import Testing
import WireProtocol

/// Bytes between two pages that nobody may touch: a reader that goes one byte too far ends the process, with or without checks.
private final class GuardedBytes {
    private let map: UnsafeMutableRawPointer
    private static let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    private static let room = 16 * page

    init() throws {
        let map = mmap(nil, Self.room + 2 * Self.page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        self.map = try #require(map != MAP_FAILED ? map : nil)
        try #require(mprotect(self.map + Self.page, Self.room, PROT_READ | PROT_WRITE) == 0)
    }

    deinit { munmap(map, Self.room + 2 * Self.page) }

    /// Lends bytes that begin or end at such a page.
    func lend(_ bytes: [UInt8], atEnd: Bool, _ body: (UnsafeRawBufferPointer) -> Void) {
        let start = map + Self.page + (atEnd ? Self.room - bytes.count : 0)
        let buffer = UnsafeMutableRawBufferPointer(start: start, count: bytes.count)
        buffer.copyBytes(from: bytes)
        body(UnsafeRawBufferPointer(buffer))
    }
}

/// The same bytes as SwiftProtobuf takes them.
private struct LentBytes: SwiftProtobufContiguousBytes {
    let buffer: UnsafeRawBufferPointer

    init(_ buffer: UnsafeRawBufferPointer) { self.buffer = buffer }
    init(repeating: UInt8, count: Int) { buffer = UnsafeRawBufferPointer(start: nil, count: 0) }
    init<S: Sequence>(_ sequence: S) where S.Element == UInt8 { buffer = UnsafeRawBufferPointer(start: nil, count: 0) }
    var count: Int { buffer.count }

    func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R { try body(buffer) }

    mutating func withUnsafeMutableBytes<R>(_ body: (UnsafeMutableRawBufferPointer) throws -> R) rethrows -> R {
        try body(UnsafeMutableRawBufferPointer(start: nil, count: 0))
    }
}

/// Everything that reads what a peer sends, on bytes that nobody would send.
@Suite struct GuardedBytesTests {
    /// Requests and records as they are to be, to be changed.
    private static func samples() throws -> [[UInt8]] {
        let alert = Feeder_Alert.with {
            ($0.timestamp, $0.hostName, $0.policyName, $0.resource) = (4711, "node1", "p", "/etc/shadow")
            ($0.execEvent, $0.eventData) = (.with { $0.execID = "7" }, ["Lsm": "FILE_OPEN", "Other": ""])
            $0.owner = .with { ($0.ref, $0.name, $0.namespace) = ("Deployment", "d", "ns") }
        }
        let stream = Portcullis_V1_StreamRequest.with {
            ($0.kinds, $0.filter, $0.agents) = ([.alert, .log], ["Resource": "x"], ["node1"])
            $0.resume = [.with { ($0.kind, $0.after, $0.spool) = (.alert, 7, "0123456789abcdef") }]
        }
        let batch = try Portcullis_V1_Batch.with {
            $0.spool = "0123456789abcdef"
            let bytes: Data = try alert.serializedBytes()
            $0.records = (1...3).map { number in
                .with { ($0.kind, $0.sequence, $0.missed, $0.payload) = (.alert, number, 1, bytes) }
            }
        }
        let apply = Portcullis_V1_ApplyRequest.with {
            ($0.agents, $0.dryRun) = (["node1"], true)
            $0.documents = [.with { ($0.name, $0.text) = ("a.yaml", "kind: KubeArmorPolicy") }]
        }
        let watch = Feeder_RequestMessage.with { ($0.filter, $0.resumeAfter) = ("all", 0) }
        return try [
            alert.serializedBytes(), stream.serializedBytes(), batch.serializedBytes(), apply.serializedBytes(),
            watch.serializedBytes(), [],
        ]
    }

    private static func read(_ bytes: UnsafeRawBufferPointer, _ filter: RecordFilter) {
        for type in [
            Feeder_Alert.self, Feeder_RequestMessage.self, Feeder_NonceMessage.self, Portcullis_V1_StreamRequest.self,
            Portcullis_V1_Batch.self, Portcullis_V1_ApplyRequest.self, Portcullis_V1_DeleteRequest.self,
            Portcullis_V1_HistoryRequest.self, Policy_policy.self, Grpc_Health_V1_HealthCheckRequest.self,
        ] as [any SwiftProtobuf.Message.Type] {
            _ = try? type.init(serializedBytes: LentBytes(bytes))
        }
        var sum: UInt64 = 0
        ProtobufScan.fields(bytes) { number, value in
            sum &+= number
            guard case .bytes(let inner) = value else { return }
            for byte in inner { sum &+= UInt64(byte) }
            ProtobufScan.fields(inner) { number, _ in sum &+= number }
        }
        for kind in SpoolKind.allCases {
            _ = filter.matches(RecordView(spool: 1, kind: kind, sequence: 1, missed: 0, time: 0, payload: bytes))
        }
    }

    /// Otherwise the other test could not fail.
    @Test func oneByteFurtherIsTheEnd() async {
        for offset in [1, -1] {
            await #expect(processExitsWith: .failure) { [offset = offset as Int] in
                try GuardedBytes().lend([7], atEnd: offset > 0) { bytes in
                    // Not checked by the compiler, as in a release.
                    _ = bytes.baseAddress?.loadUnaligned(fromByteOffset: offset, as: UInt8.self)
                }
            }
        }
        await #expect(processExitsWith: .success) {
            try GuardedBytes().lend([7], atEnd: true) { bytes in
                _ = bytes.baseAddress?.loadUnaligned(fromByteOffset: 0, as: UInt8.self)
            }
        }
    }

    @Test("threat/T11 no reader of what peers send leaves their bytes") func readersStayWithinTheirBytes() throws {
        let guarded = try GuardedBytes()
        let filter = try RecordFilter(["Resource": "shadow", "PolicyName": "p"], agents: ["node1"])
        // The same every time: what breaks it breaks it again.
        var random = SplitMix(state: 11)
        for sample in try Self.samples() {
            for length in 0...sample.count {
                for atEnd in [true, false] {
                    guarded.lend(Array(sample.prefix(length)), atEnd: atEnd) { Self.read($0, filter) }
                }
            }
            for _ in 0..<1500 {
                var bytes = sample
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    switch (Int.random(in: 0..<4, using: &random), bytes.isEmpty) {
                    case (0, false):
                        bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
                    case (1, false): bytes.remove(at: Int.random(in: 0..<bytes.count, using: &random))
                    case (2, false):
                        // A length or number that is longer than everything.
                        let place = Int.random(in: 0..<bytes.count, using: &random)
                        bytes.insert(contentsOf: [0xff, 0xff, 0xff, 0xff, 0x7f], at: place)
                    default: bytes.append(contentsOf: (0..<8).map { _ in .random(in: 0...255, using: &random) })
                    }
                }
                let atEnd = Bool.random(using: &random)
                guarded.lend(bytes, atEnd: atEnd) { Self.read($0, filter) }
            }
        }
    }
}

/// Numbers that are the same every time.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
