import ClientSupport
import ControlProtocol
import Dispatch
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import RPCTransport
import Synchronization

/// A connection to an agent or relay by gRPC.
struct RemoteSession: Sendable {
    typealias Client = GRPCClient<HTTP2ClientTransport.Posix>

    let place: ServerPlace
    let tlsFolder: String
    let tlsName: String
    let expect: String?
    /// What shows who asks instead of a certificate.
    let tokenFile: TokenFile?

    /// Connects, and ends with the closure.
    func run<Result: Sendable>(_ body: @escaping @Sendable (Client) async throws -> Result) async throws -> Result {
        let refusal = Mutex<String?>(nil)
        do {
            let refused: @Sendable (String) -> Void = { reason in refusal.withLock { $0 = $0 ?? reason } }
            let transport: HTTP2ClientTransport.Posix
            var interceptors: [any ClientInterceptor] = [RequestNumbering()]
            switch place {
            case .local(let path): transport = try RPCConnector.local(path: path)
            case .remote(let host, let port):
                let identity: ClientIdentity
                if let tokenFile {
                    // Told to nobody but a relay of the authority: anybody else is closed before a request is sent.
                    interceptors.append(BearerAuthorization(token: try tokenFile.read()))
                    identity = .token(try TrustedAuthority(pem: CredentialTexts.authority(folder: tlsFolder)))
                } else {
                    identity = .certificate(
                        try TLSCredentials(
                            CredentialTexts.read(folder: tlsFolder, name: tlsName), accepting: [.agent, .relay]))
                }
                transport = try RPCConnector.secure(
                    host: host, port: port, as: identity, expecting: try expectation(), refused: refused)
            }
            return try await withGRPCClient(transport: transport, interceptors: interceptors, handleClient: body)
        } catch let error as RPCError {
            throw failure(error, refusal.withLock { $0 })
        } catch let problem as CredentialProblem {
            throw ToolFailure(problem.description)
        }
    }

    private func expectation() throws -> RPCConnector.Expectation {
        // Agents take no tokens.
        let roles: Set<PeerRole> = tokenFile == nil ? [.agent, .relay] : [.relay]
        guard let expect else { return RPCConnector.Expectation(roles: roles) }
        let parts = expect.split(separator: "/", maxSplits: 1).map(String.init)
        guard let role = parts.first.flatMap(PeerRole.init), roles.contains(role) else {
            let names = roles.map { "\($0.rawValue)/NAME" }.sorted().joined(separator: " or ")
            throw ToolFailure("--expect must be \(names), not '\(expect)'", code: .usage)
        }
        return RPCConnector.Expectation(roles: [role], name: parts.dropFirst().first)
    }

    private func failure(_ error: RPCError, _ refusal: String?) -> ToolFailure {
        if let refusal { return ToolFailure("\(place.text): \(refusal)", code: .notPermitted) }
        return switch error.code {
        case .permissionDenied, .unauthenticated: ToolFailure("\(place.text): \(error.message)", code: .notPermitted)
        case .unavailable, .deadlineExceeded, .cancelled:
            ToolFailure("\(place.text): nobody answers: \(error.message)", code: .agentNotReachable)
        default: ToolFailure("\(place.text): \(error.message)")
        }
    }

    /// How a question is asked: it has an answer within this time, or none.
    static func question(seconds: Int = 30) -> CallOptions {
        var options = CallOptions.defaults
        options.timeout = .seconds(Int64(seconds))
        options.waitForReady = false
        return options
    }

    /// How a stream is begun: it has no end, but whoever is not there is not waited for.
    static var stream: CallOptions {
        var options = CallOptions.defaults
        options.waitForReady = false
        return options
    }
}

/// Runs something asynchronous from a verb, which has nothing else to do.
enum Blocking {
    private final class Outcome<Value: Sendable>: Sendable {
        let value = Mutex<Result<Value, any Error>?>(nil)
    }

    static func run<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws -> Value {
        let outcome = Outcome<Value>()
        let done = DispatchSemaphore(value: 0)
        Task {
            let result: Result<Value, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            outcome.value.withLock { $0 = result }
            done.signal()
        }
        done.wait()
        guard let result = outcome.value.withLock({ $0 }) else { throw ToolFailure("nothing came of it") }
        return try result.get()
    }
}
