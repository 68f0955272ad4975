import RPCTransport
import Synchronization

/// Collects what an interceptor reports.
final class RecordLog: Sendable {
    private let records = Mutex<[RequestRecord]>([])

    func add(_ record: RequestRecord) { records.withLock { $0.append(record) } }

    var all: [RequestRecord] { records.withLock { $0 } }
}
