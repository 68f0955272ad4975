import GRPCCore

/// Who may call what. What is not in the table is refused.
package struct AuthorizationTable: Sendable {
    private let roles: [String: Set<PeerRole>]

    /// - Parameter roles: the roles that may call a method, by `package.Service/method`.
    package init(_ roles: [String: Set<PeerRole>]) { self.roles = roles }

    /// Whether a role may call a method.
    package func permits(_ role: PeerRole, _ method: String) -> Bool { roles[method]?.contains(role) ?? false }

    /// Every method of the table, sorted.
    package var methods: [String] { roles.keys.sorted() }
}

/// What became of a request.
package struct RequestRecord: Sendable {
    /// How it ended.
    package enum Outcome: Sendable, Equatable {
        /// It may be done; told before it is.
        case begun
        /// It is over.
        case ended(RPCError.Code?)
        /// It may not be done.
        case refused(RPCError.Code, String)
    }

    /// Who asked; `nil` for a connection nobody knows.
    package var peer: Peer?
    /// `package.Service/method`.
    package var method: String
    /// The caller's number for the request, to find it in both logs.
    package var requestID: String
    /// What became of it.
    package var outcome: Outcome
}

/// Stands before every method: knows who asks, whether that role may ask, and whether it asks for too much at once.
package struct AuthorizationInterceptor: ServerInterceptor {
    private let peers: PeerRegistry
    private let table: AuthorizationTable
    private let limits: RequestLimits
    private let report: @Sendable (RequestRecord) -> Void

    /// Metadata key of the caller's number for a request.
    package static let requestIDKey = "portcullis-request-id"

    /// - Parameter report: told of every request, before it begins and when it is over.
    package init(
        peers: PeerRegistry, table: AuthorizationTable, limits: RequestLimits = RequestLimits(),
        report: @escaping @Sendable (RequestRecord) -> Void = { _ in }
    ) {
        self.peers = peers
        self.table = table
        self.limits = limits
        self.report = report
    }

    package func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>, context: ServerContext,
        next: @Sendable (StreamingServerRequest<Input>, ServerContext) async throws -> StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        let method = context.descriptor.fullyQualifiedMethod
        let peer = peers.peer(context)
        var record = RequestRecord(
            peer: peer, method: method, requestID: Self.requestID(request.metadata), outcome: .begun)
        func refuse(_ code: RPCError.Code, _ reason: String) -> RPCError {
            record.outcome = .refused(code, reason)
            report(record)
            return RPCError(code: code, message: reason)
        }
        guard let peer else { throw refuse(.unauthenticated, "nobody is known on this connection") }
        guard table.permits(peer.role, method) else {
            throw refuse(.permissionDenied, "role \(peer.role.rawValue) may not call \(method)")
        }
        guard let admission = limits.admit(peer) else {
            throw refuse(.resourceExhausted, "too many requests at once")
        }
        report(record)
        let ended: @Sendable (RPCError.Code?) -> Void = { [record, report] code in
            admission.end()
            var record = record
            record.outcome = .ended(code)
            report(record)
        }
        do {
            let response = try await next(request, context)
            switch response.accepted {
            case .success(let contents):
                return StreamingServerResponse(metadata: contents.metadata) { writer in
                    do {
                        let trailers = try await contents.producer(writer)
                        ended(nil)
                        return trailers
                    } catch {
                        ended((error as? RPCError)?.code ?? .unknown)
                        throw error
                    }
                }
            case .failure(let error):
                ended(error.code)
                return response
            }
        } catch {
            ended((error as? RPCError)?.code ?? .unknown)
            throw error
        }
    }

    /// What the caller calls its request, if that is harmless.
    private static func requestID(_ metadata: Metadata) -> String {
        let text = metadata[stringValues: requestIDKey].first { _ in true } ?? ""
        return PeerIdentity.isName(text) && text.utf8.count <= 64 ? text : ""
    }
}
