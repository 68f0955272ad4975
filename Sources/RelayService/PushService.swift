import EventSpool
import GRPCCore
import ProtobufCoding
import RPCServices
import RPCTransport
import WireProtocol

/// `feeder.PushLogService`: KubeArmor's agents bring their records.
///
/// They take any answer for the end of a stream (and connect again), so none is given while records are taken.
struct PushService: RegistrableRPCService {
    let records: PushedRecords
    let peers: PeerRegistry

    static let name = "feeder.PushLogService"

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        typealias Method = Feeder_PushLogService.Method
        router.registerHandler(
            forMethod: Method.HealthCheck.descriptor, deserializer: ProtobufDeserializer<Feeder_NonceMessage>(),
            serializer: ProtobufSerializer<Feeder_ReplyMessage>()
        ) { request, _ in
            let nonce = try await ServerRequest(stream: request).message.nonce
            return StreamingServerResponse(single: ServerResponse(message: .with { $0.retval = nonce }))
        }
        take(Method.PushMessages.descriptor, .message, &router)
        take(Method.PushAlerts.descriptor, .alert, &router)
        take(Method.PushLogs.descriptor, .log, &router)
    }

    private func take<Transport: ServerTransport>(
        _ method: MethodDescriptor, _ kind: SpoolKind, _ router: inout RPCRouter<Transport>
    ) {
        router.registerHandler(
            forMethod: method, deserializer: RawDeserializer(),
            serializer: ProtobufSerializer<Feeder_ReplyMessage>()
        ) { [records, peers] request, context in
            let peer = peers.peer(context)
            // Whoever may not is told before anything is read.
            return StreamingServerResponse { _ in
                let stream = try records.begin(peer, kind)
                defer { stream.end() }
                for try await message in request.messages { stream.take(message.bytes) }
                return [:]
            }
        }
    }
}
