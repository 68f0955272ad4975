import NIOCore
import NIOHTTPTypes

/// Closes connections that take too long: for the head of a request, for its body, between two requests, and for taking what was
/// written. Whoever sends a byte now and then gains nothing by it.
final class RequestDeadlines: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let (head, body, write): (TimeAmount, TimeAmount, TimeAmount)
    private var reading: Scheduled<Void>?
    private var writing: Scheduled<Void>?

    /// - Parameters:
    ///   - head: from the beginning of the connection, or the end of an answer, to the end of a request's head.
    ///   - body: from there to the end of the request.
    ///   - write: how long the peer may take nothing of what there is for it.
    init(head: TimeAmount = .seconds(10), body: TimeAmount = .seconds(30), write: TimeAmount = .seconds(30)) {
        (self.head, self.body, self.write) = (head, body, write)
    }

    func handlerAdded(context: ChannelHandlerContext) { reading = close(context, in: head) }

    func handlerRemoved(context: ChannelHandlerContext) {
        reading?.cancel()
        writing?.cancel()
    }

    func channelInactive(context: ChannelHandlerContext) {
        reading?.cancel()
        writing?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            reading?.cancel()
            reading = close(context, in: body)
        case .body: break
        case .end: reading?.cancel()
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) {
            reading?.cancel()
            reading = close(context, in: head)
        }
        context.write(data, promise: promise)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        writing?.cancel()
        writing = context.channel.isWritable ? nil : close(context, in: write)
        context.fireChannelWritabilityChanged()
    }

    private func close(_ context: ChannelHandlerContext, in time: TimeAmount) -> Scheduled<Void> {
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        return context.eventLoop.scheduleTask(in: time) { bound.value.close(promise: nil) }
    }
}
