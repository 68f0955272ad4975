import GatewayProtocol
import LinuxKernel
import RPCServices
import RPCTransport
import Synchronization

/// The gateway's end of the socket to the guardian, and its ear for the spool: a thread that passes both on.
final class GuardianLink: Sendable {
    private struct State {
        var control: Int32 = -1
        var credentials: [UInt8: [UInt8]] = [:]
        var texts: CredentialTexts?
    }
    private let state = Mutex(State())
    /// Signalled when the spool has records.
    let records = WakeBroadcast()
    /// Signalled when there are other certificates, or another connection to the front.
    let changes = WakeBroadcast()
    private let onEnd: @Sendable () -> Void

    /// - Parameter onEnd: called once, when the guardian says stop or is gone.
    init(onEnd: @escaping @Sendable () -> Void) { self.onEnd = onEnd }

    func start() throws(KernelError) {
        _ = try KernelThread.start(name: "gateway-link") { [self] in run() }
    }

    /// The connection to the front, given away; `nil` while there is none.
    func takeControl() -> Int32? {
        state.withLock { state in
            defer { state.control = -1 }
            return state.control >= 0 ? state.control : nil
        }
    }

    /// The newest certificates and key; `nil` before the first.
    var texts: CredentialTexts? { state.withLock { $0.texts } }

    /// Asks the guardian for something.
    func ask(_ kind: GatewayMessage.Kind) {
        _ = try? UnixSocket.send(GatewayDescriptor.guardian, bytes: GatewayMessage(kind).bytes)
    }

    private func run() {
        while true {
            Readiness.wait(GatewayDescriptor.wake, GatewayDescriptor.guardian, timeoutMilliseconds: -1)
            EventDescriptor.drain(GatewayDescriptor.wake)
            records.signal()
            while Readiness.isReadable(GatewayDescriptor.guardian) {
                guard receive() else { return onEnd() }
            }
        }
    }

    /// Takes one message; false at the end.
    private func receive() -> Bool {
        withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { buffer in
            do throws(KernelError) {
                var received = try UnixSocket.receive(GatewayDescriptor.guardian, into: buffer, nonblocking: true)
                guard received.length > 0 else { return false }
                let descriptor = received.takeDescriptor(at: 0)?.release()
                guard let message = GatewayMessage(bytes: [UInt8](buffer[0..<received.length])) else {
                    if let descriptor { RawDescriptor.close(descriptor) }
                    return true
                }
                return take(message, descriptor)
            } catch {
                return error.errno == 11 || error.errno == 4
            }
        }
    }

    private func take(_ message: GatewayMessage, _ descriptor: Int32?) -> Bool {
        var isTaken = false
        defer { if let descriptor, !isTaken { RawDescriptor.close(descriptor) } }
        switch message.kind {
        case .stop: return false
        case .control:
            guard let descriptor else { return true }
            isTaken = true
            let before = state.withLock { state in
                defer { state.control = descriptor }
                return state.control
            }
            if before >= 0 { RawDescriptor.close(before) }
            changes.signal()
        case .credential:
            guard let descriptor, let contents = Self.contents(descriptor) else { return true }
            state.withLock { $0.credentials[message.number] = contents }
        case .credentialsEnd:
            state.withLock { state in
                if let authority = state.credentials[0], let certificate = state.credentials[1],
                    let key = state.credentials[2]
                {
                    state.texts = CredentialTexts(authority: authority, certificate: certificate, key: key)
                }
                state.credentials = [:]
            }
            changes.signal()
        case .askControl, .askCredentials: break
        }
        return true
    }

    private static func contents(_ descriptor: Int32) -> [UInt8]? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = buffer.withUnsafeMutableBytes { RawDescriptor.read(descriptor, into: $0) }
            if count == -4 { continue }
            guard count >= 0, bytes.count + count <= 256 << 10 else { return nil }
            if count == 0 { return bytes }
            bytes += buffer[0..<count]
        }
    }
}
