import EventSpool
import GRPCCore
import ProtobufCoding
import WireProtocol

/// `feeder.LogService`: what KubeArmor's clients and its relay ask.
package struct LogService: RegistrableRPCService {
    private let source: any RecordSource
    /// Metadata of a stream's answer: the spool that its numbers count in.
    package static let spoolKey = "portcullis-spool"

    /// Serves the records of a source.
    package init(source: any RecordSource) { self.source = source }

    package func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        typealias Method = Feeder_LogService.Method
        router.registerHandler(
            forMethod: Method.HealthCheck.descriptor, deserializer: ProtobufDeserializer<Feeder_NonceMessage>(),
            serializer: ProtobufSerializer<Feeder_ReplyMessage>()
        ) { request, _ in
            let nonce = try await ServerRequest(stream: request).message.nonce
            return StreamingServerResponse(
                single: ServerResponse(message: .with { $0.retval = nonce }))
        }
        watch(Method.WatchMessages.descriptor, .message, filters: nil, &router)
        watch(Method.WatchAlerts.descriptor, .alert, filters: ["all", "policy"], &router)
        watch(Method.WatchLogs.descriptor, .log, filters: ["all", "system"], &router)
    }

    private func watch<Transport: ServerTransport>(
        _ method: MethodDescriptor, _ kind: SpoolKind, filters: Set<String>?, _ router: inout RPCRouter<Transport>
    ) {
        router.registerHandler(
            forMethod: method, deserializer: ProtobufDeserializer<Feeder_RequestMessage>(), serializer: RawSerializer()
        ) { [source] request, context in
            let asked = try await ServerRequest(stream: request).message
            if let filters, !filters.contains(asked.filter) {
                // As upstream: no error, and nothing.
                return StreamingServerResponse { _ in [:] }
            }
            let start = asked.hasResumeAfter ? SpoolStart.after(asked.resumeAfter) : .now
            let cursor = try RecordStreaming.open(
                source, RecordRequest(starts: [kind: start], spool: SpoolName.parse(asked.spool)))
            return StreamingServerResponse(metadata: [Self.spoolKey: "\(SpoolName.text(cursor.spool))"]) { writer in
                try await RecordStreaming.run(cursor, writer) { record, messages in
                    messages.append(.feeder(record))
                }
            }
        }
    }
}

/// How spools are named on the wire: 16 hexadecimal digits.
package enum SpoolName {
    /// The name.
    package static func text(_ spool: UInt64) -> String {
        let digits = String(spool, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// The spool of a name; `nil` for an empty or any other text.
    package static func parse(_ text: String) -> UInt64? {
        text.utf8.count == 16 ? UInt64(text, radix: 16) : nil
    }
}
