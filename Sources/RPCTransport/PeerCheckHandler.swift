import Foundation
import NIOCore
import NIOSSL
import NIOTLS

/// What a certificate says of its holder.
package struct CertifiedPeer: Sendable {
    /// The certificate's only URI.
    package let identity: PeerIdentity
    /// SHA-256 of the certificate in hexadecimal.
    package let fingerprint: String
    /// When the certificate ends.
    package let notAfter: Date
}

/// Why a peer is not let in.
package struct PeerProblem: Error, CustomStringConvertible, Sendable {
    package let description: String
}

/// Stands behind TLS: looks at the peer's certificate once the handshake is over, and closes what is not to be.
///
/// TLS itself has verified the chain and the dates by then; nothing of the application has been read or written.
final class PeerCheckHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny
    typealias InboundOut = NIOAny

    private let address: String
    private let deadline: TimeAmount
    private let isOptional: Bool
    private let decide: (Result<CertifiedPeer?, PeerProblem>) -> Bool
    private var timer: Scheduled<Void>?
    private var isDecided = false

    /// - Parameter decide: whether to go on; called once.
    convenience init(
        address: String, deadline: TimeAmount, decide: @escaping (Result<CertifiedPeer, PeerProblem>) -> Bool
    ) {
        self.init(address: address, deadline: deadline, isOptional: false) { result in
            switch result {
            case .success(let peer?): decide(.success(peer))
            case .success(nil): decide(.failure(PeerProblem(description: "no certificate")))
            case .failure(let problem): decide(.failure(problem))
            }
        }
    }

    /// - Parameters:
    ///   - isOptional: a peer without a certificate may go on, too.
    ///   - decide: whether to go on; called once.
    init(
        address: String, deadline: TimeAmount, isOptional: Bool,
        decide: @escaping (Result<CertifiedPeer?, PeerProblem>) -> Bool
    ) {
        self.address = address
        self.deadline = deadline
        self.isOptional = isOptional
        self.decide = decide
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: deadline) {
            let (handler, context) = bound.value
            handler.fail("no handshake within \(handler.deadline.nanoseconds / 1_000_000_000) seconds", context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent {
            timer?.cancel()
            do {
                try check(context.pipeline.syncOperations.nioSSL_peerCertificate(), context)
            } catch { return fail("\(error)", context) }
            if !context.channel.isActive { return }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if !isDecided { fail(Self.reason(error), context) }
        context.fireErrorCaught(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if !isDecided { fail("closed before the handshake was over", context) }
        context.fireChannelInactive()
    }

    /// Of what BoringSSL says, the part that people can look up.
    private static func reason(_ error: any Error) -> String {
        let text = "\(error)"
        guard let start = text.range(of: "OPENSSL_internal:") else { return "TLS: \(text.prefix(200))" }
        return "TLS: " + text[start.upperBound...].prefix { $0.isLetter || $0.isNumber || $0 == "_" }
    }

    private func check(_ certificate: NIOSSLCertificate?, _ context: ChannelHandlerContext) throws {
        guard certificate != nil || isOptional else { return fail("no certificate", context) }
        let peer = try certificate.map { try CertificateReading.peer(der: $0.toDERBytes()) }
        isDecided = true
        if !decide(.success(peer)) { context.close(promise: nil) }
    }

    private func fail(_ reason: String, _ context: ChannelHandlerContext) {
        if !isDecided {
            isDecided = true
            _ = decide(.failure(PeerProblem(description: reason)))
        }
        context.close(promise: nil)
    }
}
