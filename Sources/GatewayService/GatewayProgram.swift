import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GatewayProtocol
import Glibc
import LinuxKernel
import NIOPosix
import RPCServices
import RPCTransport

/// The gateway: everything that speaks gRPC. It has no capability, a user of its own and a seccomp filter without execve and
/// without sockets to the network: what listens was bound by the guardian. When it dies, enforcement and alerts to files go on.
public enum GatewayProgram {
    /// Runs until the guardian says stop or goes away. Returns the exit code.
    public static func run() async -> Int32 {
        signal(SIGPIPE, SIG_IGN)
        guard let memory = try? SealedMemory(mapping: GatewayDescriptor.settings, limit: 1 << 20),
            let settings = GatewaySettings(encoded: [UInt8](memory.bytes))
        else {
            report("portcullis-gateway is started by portcullisd")
            return 2
        }
        do {
            KernelThread.setCurrentName("portcullis-gate")
            try ProcFS.prepare()
            try SignalDescriptor.block([SIGINT, SIGTERM, SIGHUP])
            try verify(settings)
            try SelfFilter.install(refusal: .permissionDenied, denying: [.execution, .fanotify, .nonUnixSockets])
            return try await serve(settings)
        } catch {
            report("portcullis-gateway: \(error)")
            return 1
        }
    }

    private static func verify(_ settings: GatewaySettings) throws(KernelError) {
        if settings.isRootless { try Capabilities.verify([]) } else { try Capabilities.verify([], bounding: []) }
        guard ProcessControl.hasNoNewPrivileges else { throw KernelError("verify no_new_privs", errno: EPERM) }
        guard settings.isRootless || (getuid() != 0 && geteuid() != 0) else {
            throw KernelError("verify user id", errno: EPERM)
        }
        try ProcessControl.setDumpable(false)
    }

    private static func serve(_ settings: GatewaySettings) async throws -> Int32 {
        let ending = WakeBroadcast()
        let before = ending.generation
        let link = GuardianLink { ending.signal() }
        try link.start()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let peers = PeerRegistry()
        let front = FrontLink(link)
        let source = SpoolSource(descriptor: GatewayDescriptor.spool, wake: link.records)
        let services: [any RegistrableRPCService] = [
            LogService(source: source), TelemetryService(source: source),
            PolicyService(front: front), ProbeService(front: front),
            AgentControl(front: front, agent: settings.host),
            HealthService(services: AgentMethods.services),
        ]
        let interceptor = AuthorizationInterceptor(peers: peers, table: AgentMethods.table(settings))
        let listener = RPCListener(
            descriptor: GatewayDescriptor.local, security: .local(users: Set(settings.users)), peers: peers,
            group: group, connectionLimit: settings.connections)
        let server = GRPCServer(
            transport: HTTP2ServerTransport.Custom(listenerFactory: listener, config: configuration),
            services: services, interceptors: [interceptor])
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await server.serve() }
            tasks.addTask { await ending.wait(after: before) }
            try await tasks.next()
            server.beginGracefulShutdown()
            // Streams have no end of their own; whoever still reads has read enough.
            try? await Task.sleep(for: .milliseconds(200))
            tasks.cancelAll()
        }
        return 0
    }

    private static var configuration: HTTP2ServerTransport.Custom<RPCListener>.Config {
        var configuration = HTTP2ServerTransport.Custom<RPCListener>.Config.defaults
        configuration.connection.keepalive = HTTP2ServerTransport.Config.Keepalive(
            time: .seconds(20), timeout: .seconds(10),
            clientBehavior: HTTP2ServerTransport.Config.ClientKeepaliveBehavior(
                minPingIntervalWithoutCalls: .seconds(10), allowWithoutCalls: true))
        configuration.http2.maxConcurrentStreams = 128
        return configuration
    }

    private static func report(_ text: String) {
        let bytes = Array((text + "\n").utf8)
        _ = bytes.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
    }
}
