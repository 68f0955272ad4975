import GatewayProtocol
import Glibc
import LinuxKernel

/// The guardian's part for the gateway: starts it, starts it again after a while when it ends, gives it what it may not open
/// itself. Enforcement never waits for it.
struct GatewayKeeper {
    private let settings: AgentSettings
    private let program: Int32
    private let settingsMemory: Int32
    private let listener: Int32
    /// Listening sockets for TLS.
    private let secure: [Int32]
    private let spool: Int32
    private let state: Int32
    /// Signalled by the front when the spool has records.
    let wake: Int32
    private var process: RoleProcess?
    private var startAt: UInt64 = 0
    private var pause: UInt64 = 0
    private static let shortestPause: UInt64 = 100_000_000
    private static let longestPause: UInt64 = 10_000_000_000
    /// Whoever ran this long has not failed at its start.
    private static let soundSpan: UInt64 = 30_000_000_000

    /// Binds and opens what the gateway gets. `nil` when there is to be none.
    ///
    /// - Parameter program: its open program; negative for none.
    init?(_ settings: AgentSettings, program: Int32) throws(KernelError) {
        guard settings.usesGateway, program >= 0 else { return nil }
        self.settings = settings
        self.program = program
        settingsMemory = try SealedRegion.seal(settings.forGateway.encoded(), name: "portcullis-gateway")
        wake = try EventDescriptor.make()
        spool = try Self.directory(settings.spoolDirectory)
        state = try Self.directory(settings.gatewayStateDirectory)
        var secure: [Int32] = []
        for text in settings.secureListeners {
            guard let place = TCPSocket.Place(text) else { throw KernelError("parse an address", errno: EINVAL) }
            let socket = try TCPSocket.listen(place)
            AgentLog.info("gRPC by TLS on port \(try TCPSocket.port(of: socket.raw))")
            secure.append(try socket.duplicate().release())
        }
        self.secure = secure
        listener = try UnixSocket.listen(
            path: settings.effectiveGatewaySocketPath, mode: settings.gatewayGroup == nil ? 0o600 : 0o660,
            replacingStale: true
        ).release()
        if let group = settings.gatewayGroup, chown(settings.effectiveGatewaySocketPath, uid_t.max, group) != 0 {
            throw KernelError("chown the gRPC socket", errno: errno)
        }
    }

    private static func directory(_ path: String) throws(KernelError) -> Int32 {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw KernelError("open a state directory", errno: errno) }
        return descriptor
    }

    /// For the guardian's poll.
    var descriptors: [Int32] { [process?.pidfd ?? -1, process?.channel ?? -1] }

    /// The process id while it runs, 0 otherwise.
    var pid: Int32 { process?.pid ?? 0 }

    /// Starts it when it is time; reaps it when it has ended.
    ///
    /// - Parameter front: the front's channel, to which one end of a connection goes.
    mutating func tick(front: Int32?) {
        if let running = process, Readiness.isReadable(running.pidfd) {
            running.close()
            process = nil
            let now = KernelClock.monotonic
            if now - startAt > Self.soundSpan { pause = 0 }
            pause = min(Self.longestPause, max(Self.shortestPause, pause * 2))
            startAt = now + pause
            AgentLog.warning("the gateway has ended; a new one is started in \(pause / 1_000_000) ms")
        }
        if process == nil, KernelClock.monotonic >= startAt { start(front: front) }
        guard let channel = process?.channel else { return }
        while let message = Self.receive(channel) {
            switch message.kind {
            case .askControl: connect(front: front)
            case .askCredentials: sendCredentials(to: channel)
            default: break
            }
        }
    }

    private mutating func start(front: Int32?) {
        startAt = KernelClock.monotonic
        do {
            let (ours, theirs) = try Channel.pair()
            defer { RawDescriptor.close(theirs) }
            var launch = ProcessLauncher.Settings()
            launch.noNewPrivileges = true
            if !settings.isRootless {
                (launch.uid, launch.gid) = (settings.gatewayUser, settings.gatewayUser)
                (launch.keepCapabilities, launch.boundingSet) = ([], [])
            }
            var map: [(Int32, Int32)] = [
                (settingsMemory, GatewayDescriptor.settings), (theirs, GatewayDescriptor.guardian),
                (wake, GatewayDescriptor.wake), (spool, GatewayDescriptor.spool), (state, GatewayDescriptor.state),
                (listener, GatewayDescriptor.local),
            ]
            for (index, socket) in secure.enumerated() {
                map.append((socket, GatewayDescriptor.firstSecure + Int32(index)))
            }
            let child = try ProcessLauncher.spawn(
                program: program, arguments: ["portcullis-gateway"],
                descriptorMap: map.map { ProcessLauncher.PassedDescriptor(parent: $0.0, child: $0.1) },
                settings: launch)
            process = RoleProcess(
                pid: child.pid, pidfd: try Descriptor.duplicating(child.pidDescriptor).release(), channel: ours)
            connect(front: front)
        } catch {
            AgentLog.warning("the gateway is not started: \(error)")
            startAt = KernelClock.monotonic + Self.longestPause
        }
    }

    /// Gives front and gateway the two ends of a connection. Called whenever either is new.
    func connect(front: Int32?) {
        guard let front, let channel = process?.channel, let pair = try? UnixSocket.pair(.stream) else { return }
        RawDescriptor.setNonblocking(pair.first.raw, true)
        Channel.send(front, ChannelMessage(.gateway), descriptor: pair.first.raw)
        _ = try? UnixSocket.send(channel, bytes: GatewayMessage(.control).bytes, descriptors: [pair.second.raw])
    }

    /// Opens the files of the TLS identity, which the gateway has no right to. They may have been replaced since the last time.
    private func sendCredentials(to channel: Int32) {
        var count: UInt8 = 0
        for (number, name) in [(UInt8(0), "ca.crt"), (1, "server.crt"), (2, "server.key")] {
            let path = settings.tlsFolder + "/" + name
            let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
            guard file >= 0 else {
                AgentLog.warning("\(path): \(String(cString: strerror(errno)))")
                continue
            }
            defer { RawDescriptor.close(file) }
            let message = GatewayMessage(.credential, number: number)
            if (try? UnixSocket.send(channel, bytes: message.bytes, descriptors: [file])) != nil { count += 1 }
        }
        _ = try? UnixSocket.send(channel, bytes: GatewayMessage(.credentialsEnd, number: count).bytes)
    }

    /// Stops it and removes its socket.
    mutating func end() {
        if let process {
            _ = try? UnixSocket.send(process.channel, bytes: GatewayMessage(.stop).bytes)
            if !process.waitForExit(timeoutMilliseconds: 2000) { process.kill() }
            process.close()
        }
        process = nil
        unlink(settings.effectiveGatewaySocketPath)
    }

    private static func receive(_ channel: Int32) -> GatewayMessage? {
        withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { buffer in
            guard let received = try? UnixSocket.receive(channel, into: buffer, nonblocking: true) else { return nil }
            return GatewayMessage(bytes: [UInt8](buffer[0..<received.length]))
        }
    }
}
