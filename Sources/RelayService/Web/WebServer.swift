import Hummingbird
import HummingbirdCore
import LinuxKernel
import Logging
import NIOCore
import NIOPosix
import RPCTransport
import ServiceLifecycle
import Synchronization

/// Everything that a relay offers over HTTPS, as a service.
final class WebServer: Service {
    private let place: TCPSocket.Place
    private let admission: WebAdmission
    private let router: @Sendable () -> Router<WebContext>
    private let group: any EventLoopGroup
    private let logger: Logger
    private let bound = Mutex<Int?>(nil)

    init(
        _ place: TCPSocket.Place, admission: WebAdmission, group: any EventLoopGroup, logger: Logger,
        router: @escaping @Sendable () -> Router<WebContext>
    ) {
        self.place = place
        self.admission = admission
        self.router = router
        self.group = group
        var quiet = logger
        // The relay's log tells of the relay; of requests there is the audit log.
        quiet.logLevel = .warning
        self.logger = quiet
    }

    /// The port it listens at, once it does.
    var port: Int? { bound.withLock { $0 } }

    func run() async throws {
        let application = Application(
            responder: router().buildResponder(),
            server: HTTPServerBuilder { [admission] responder in WebChannel(admission, responder: responder) },
            configuration: ApplicationConfiguration(
                address: .hostname(place.address, port: Int(place.port)), serverName: nil),
            onServerRunning: { [self] channel in bound.withLock { $0 = channel.localAddress?.port } },
            eventLoopGroupProvider: .shared(group), logger: logger)
        try await application.run()
    }
}
