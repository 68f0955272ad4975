import GatewayProtocol
import RPCTransport

/// The agent's certificate and key, which the guardian opens: waits for the first, and takes up others when they come.
struct SecureIdentity {
    private let link: GuardianLink
    /// Whom an agent lets in.
    private static let roles: Set<PeerRole> = [.relay, .cli, .controller, .fleet]
    /// A certificate that is issued again is in use after this time.
    private static let interval = Duration.seconds(30)

    init(_ link: GuardianLink) { self.link = link }

    /// Asks until there are usable ones.
    func credentials() async throws -> TLSCredentials {
        while true {
            let generation = link.changes.generation
            link.ask(.askCredentials)
            await wait(after: generation, at: Self.interval)
            try Task.checkCancellation()
            guard let texts = link.texts else { continue }
            do { return try TLSCredentials(texts, accepting: Self.roles) } catch {
                GatewayProgram.report("gRPC by TLS is off: \(error)")
                try await Task.sleep(for: Self.interval)
            }
        }
    }

    /// Takes up new ones, until cancelled.
    func keepFresh(_ credentials: TLSCredentials) async throws {
        while true {
            try await Task.sleep(for: Self.interval)
            let generation = link.changes.generation
            link.ask(.askCredentials)
            await wait(after: generation, at: .seconds(5))
            guard let texts = link.texts else { continue }
            do {
                if try credentials.reload(texts) {
                    GatewayProgram.report(
                        "gRPC by TLS: the certificate is \(credentials.identity), until \(credentials.notAfter)")
                }
            } catch { GatewayProgram.report("gRPC by TLS: the certificate stays as it is: \(error)") }
        }
    }

    /// Waits for a change, no longer than `limit`.
    private func wait(after generation: UInt64, at limit: Duration) async {
        let changes = link.changes
        let timer = Task {
            try? await Task.sleep(for: limit)
            if !Task.isCancelled { changes.signal() }
        }
        await changes.wait(after: generation)
        timer.cancel()
    }
}
