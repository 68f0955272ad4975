import EventSpool
import GRPCCore
import ProtobufCoding
import WireProtocol

/// `portcullis.v1.Telemetry`: the same records, many in one message.
package struct TelemetryService: RegistrableRPCService {
    private let source: any RecordSource
    /// Bytes after which a message is followed by another: enough that a message costs little beside what is in it, and little enough
    /// that a reader of a hundred agents, of each of which some messages wait, does not need much memory for them.
    private static let batchBytes = 32 << 10
    /// The same of a stream that is to be fresh: what is in a message is as old as the last piece of it that goes out.
    private static let freshBatchBytes = 16 << 10

    /// The agent whose records these are; `nil` for those of many.
    private let agent: String?

    /// Serves the records of a source.
    package init(source: any RecordSource, agent: String? = nil) {
        self.source = source
        self.agent = agent
    }

    package func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        router.registerHandler(
            forMethod: Portcullis_V1_Telemetry.Method.Stream.descriptor,
            deserializer: ProtobufDeserializer<Portcullis_V1_StreamRequest>(), serializer: RawSerializer()
        ) { [source, agent] request, _ in
            let asked = try await ServerRequest(stream: request).message
            let records = try Self.request(asked)
            if let agent, !asked.agents.isEmpty, !asked.agents.contains(agent) {
                return StreamingServerResponse { _ in [:] }
            }
            let filter = try RecordFilter(asked.filter, agents: agent == nil ? asked.agents : [])
            let cursor = try RecordStreaming.open(source, records)
            let name = SpoolName.text(cursor.spool)
            return StreamingServerResponse(metadata: [LogService.spoolKey: "\(name)"]) { writer in
                let batch = BatchWriter(limit: records.freshness == nil ? Self.batchBytes : Self.freshBatchBytes)
                return try await RecordStreaming.run(cursor, writer) { record, messages in
                    batch.add(record, ifMatching: filter, to: &messages)
                }
            }
        }
    }

    private static func request(_ asked: Portcullis_V1_StreamRequest) throws(RPCError) -> RecordRequest {
        var request = RecordRequest(starts: [:])
        for kind in asked.kinds {
            guard let kind = SpoolKind(kind) else {
                throw RPCError(code: .invalidArgument, message: "a kind that is not known")
            }
            request.starts[kind] = .now
        }
        guard !request.starts.isEmpty else { throw RPCError(code: .invalidArgument, message: "no kind is asked for") }
        for position in asked.resume {
            guard let kind = SpoolKind(position.kind), request.starts[kind] != nil else {
                throw RPCError(code: .invalidArgument, message: "a position of a kind that is not asked for")
            }
            request.starts[kind] = .after(position.after)
            let spool = SpoolName.parse(position.spool)
            guard request.spool == nil || request.spool == spool else {
                throw RPCError(code: .invalidArgument, message: "positions in several spools")
            }
            request.spool = spool
        }
        if asked.freshMilliseconds > 0 { request.freshness = UInt64(asked.freshMilliseconds) * 1_000_000 }
        return request
    }
}

extension SpoolKind {
    /// The kind on the wire; `nil` for one that is none.
    package init?(_ kind: Portcullis_V1_RecordKind) {
        switch kind {
        case .alert: self = .alert
        case .log: self = .log
        case .message: self = .message
        case .unspecified, .UNRECOGNIZED: return nil
        }
    }

    /// The kind on the wire.
    package var onTheWire: Portcullis_V1_RecordKind {
        switch self {
        case .alert: .alert
        case .log: .log
        case .message: .message
        }
    }
}

/// Encodes `portcullis.v1.Batch` from records, without a message object for each.
final class BatchWriter {
    private let limit: Int
    private var spool: UInt64 = 0
    /// Records that were missed before one that the filter left out.
    private var untold: [SpoolKind: UInt64] = [:]

    init(limit: Int) { self.limit = limit }

    /// Adds a record to the last message, or begins another.
    func add(_ record: RecordView, ifMatching filter: RecordFilter, to messages: inout [RawMessage]) {
        let missed = record.missed + (untold[record.kind] ?? 0)
        let matches = filter.matches(record)
        guard matches || missed > 0 else { return }
        untold[record.kind] = nil
        if messages.isEmpty || messages[messages.count - 1].bytes.count > limit || spool != record.spool {
            messages.append(begin(record.spool))
        }
        // Of a record that does not match only what was missed before it is told.
        let payload = matches ? record.payload : UnsafeRawBufferPointer(start: nil, count: 0)
        append(record, missed: missed, payload, to: &messages[messages.count - 1].bytes)
    }

    private func begin(_ spool: UInt64) -> RawMessage {
        self.spool = spool
        var bytes: [UInt8] = []
        var name = SpoolName.text(spool)
        name.withUTF8 { ProtobufBytes.field(1, UnsafeRawBufferPointer($0), to: &bytes) }
        return RawMessage(bytes)
    }

    private func append(
        _ record: RecordView, missed: UInt64, _ payload: UnsafeRawBufferPointer, to bytes: inout [UInt8]
    ) {
        var head: [UInt8] = []
        ProtobufBytes.field(1, UInt64(record.kind.rawValue), to: &head)
        ProtobufBytes.field(2, record.sequence, to: &head)
        ProtobufBytes.field(3, missed, to: &head)
        let inner =
            head.count
            + (payload.isEmpty ? 0 : 1 + ProtobufBytes.length(of: UInt64(payload.count)) + payload.count)
        ProtobufBytes.varint(2 << 3 | 2, to: &bytes)
        ProtobufBytes.varint(UInt64(inner), to: &bytes)
        bytes.append(contentsOf: head)
        if !payload.isEmpty { ProtobufBytes.field(4, payload, to: &bytes) }
    }
}
