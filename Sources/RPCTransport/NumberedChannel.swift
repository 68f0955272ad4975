import NIOCore

/// A connection whose remote address is its number in a `PeerRegistry`, and which is otherwise the channel it wraps.
///
/// `@unchecked Sendable`: the wrapped channel is `Sendable`, and nothing here changes.
final class NumberedChannel: Channel, @unchecked Sendable {
    private let base: any Channel
    let remoteAddress: SocketAddress?

    init(_ base: any Channel, number: UInt64) throws {
        self.base = base
        remoteAddress = try SocketAddress(unixDomainSocketPath: "#\(number)")
    }

    var allocator: ByteBufferAllocator { base.allocator }
    var closeFuture: EventLoopFuture<Void> { base.closeFuture }
    var pipeline: ChannelPipeline { base.pipeline }
    var localAddress: SocketAddress? { base.localAddress }
    var parent: (any Channel)? { base.parent }
    var isWritable: Bool { base.isWritable }
    var isActive: Bool { base.isActive }
    var _channelCore: any ChannelCore { base._channelCore }
    var eventLoop: any EventLoop { base.eventLoop }
    var syncOptions: (any NIOSynchronousChannelOptions)? { base.syncOptions }

    func setOption<Option: ChannelOption>(_ option: Option, value: Option.Value) -> EventLoopFuture<Void> {
        base.setOption(option, value: value)
    }

    func getOption<Option: ChannelOption>(_ option: Option) -> EventLoopFuture<Option.Value> { base.getOption(option) }
}
