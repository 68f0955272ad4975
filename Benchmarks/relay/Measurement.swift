import EventSpool
import GRPCCore
import RPCServices
import Synchronization
import WireProtocol

/// What a client got.
final class Measurement: Sendable {
    struct Numbers: Sendable {
        var received: UInt64 = 0
        var missed: UInt64 = 0
        /// By milliseconds of delay; the last one is everything above.
        var delays = [UInt64](repeating: 0, count: 20_001)

        /// Delay in milliseconds that so much of all had at most.
        func delay(_ share: Double) -> Int {
            let goal = UInt64(Double(received) * share)
            var sum: UInt64 = 0
            for (index, count) in delays.enumerated() {
                sum += count
                if sum >= goal { return index }
            }
            return delays.count - 1
        }
    }
    let numbers = Mutex(Numbers())

    /// Counts an encoded `portcullis.v1.Batch`.
    func take(_ bytes: [UInt8]) {
        let now = SpoolWriter.realTime()
        bytes.withUnsafeBytes { batch in
            numbers.withLock { numbers in
                ProtobufScan.strings(batch) { field, record in
                    guard field == 2 else { return }
                    ProtobufScan.fields(record) { field, value in
                        switch (field, value) {
                        case (3, .number(let missed)): numbers.missed += missed
                        case (4, .bytes(let alert)):
                            numbers.received += 1
                            guard let time = Self.time(alert) else { return }
                            numbers.delays[min(20_000, Int(now > time ? (now - time) / 1_000_000 : 0))] += 1
                        default: break
                        }
                    }
                }
            }
        }
    }

    /// The first field: it is the one that the simulated agents put in front.
    private static func time(_ alert: UnsafeRawBufferPointer) -> UInt64? {
        var index = 1
        return alert.first == 8 ? ProtobufScan.varint(alert, &index) : nil
    }
}

/// The generated serializer is of a module that is not needed otherwise.
struct BenchmarkSerializer: MessageSerializer {
    func serialize<Bytes: GRPCContiguousBytes>(_ message: Portcullis_V1_StreamRequest) throws -> Bytes {
        Bytes(try message.serializedBytes() as [UInt8])
    }
}
