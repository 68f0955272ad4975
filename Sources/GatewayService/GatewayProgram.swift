import ClientSupport
import GatewayProtocol
import Glibc
import LinuxKernel
import RPCServices

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
        let servers = try GatewayServers(settings, link)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await servers.serveLocal() }
            tasks.addTask {
                try await servers.serveSecure()
                // Whether or not there is something to serve, the unix socket is served on.
                await ending.wait(after: before)
            }
            tasks.addTask { await ending.wait(after: before) }
            let signing = Task { await servers.keepAudit() }
            defer { signing.cancel() }
            try await tasks.next()
            servers.stop()
            // Streams have no end of their own; whoever still reads has read enough.
            try? await Task.sleep(for: .milliseconds(200))
            tasks.cancelAll()
        }
        return 0
    }

    static func report(_ text: String) {
        // Of a peer's words nothing reaches the log that would be more than text in it.
        let bytes = Array((SafeText.line(text) + "\n").utf8)
        _ = bytes.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
    }
}
