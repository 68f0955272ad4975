import Foundation
import GRPCCore
import Synchronization

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
    /// Where a request is from that showed no token that counts; empty when `peer` says it.
    package var address = ""
    /// `package.Service/method`.
    package var method: String
    /// The caller's number for the request, or one of our own: to find it in both logs.
    package var requestID: String
    /// What the request says, in words; empty before it has come.
    package var summary = ""
    /// What became of it.
    package var outcome: Outcome
}

/// A request that can say in words what it is about, for the audit log.
package protocol RequestDescribing {
    /// One line; what the caller chose is in it as it came.
    var requestSummary: String { get }
}

/// The request that is being answered: what is asked of others for its sake has the same number.
package enum CurrentRequest {
    /// Its number.
    @TaskLocal package static var id: String?
}

/// Stands before every method: knows who asks, whether that role may ask, and whether it asks for too much at once.
package struct AuthorizationInterceptor: ServerInterceptor {
    private let peers: PeerRegistry
    private let table: AuthorizationTable
    private let limits: RequestLimits
    private let tokens: (any BearerVerifier)?
    private let report: @Sendable (RequestRecord) -> Void

    /// Metadata key of the caller's number for a request.
    package static let requestIDKey = "portcullis-request-id"

    /// - Parameters:
    ///   - tokens: says who asks on connections without a certificate; `nil` where there are none.
    ///   - report: told of every request, before it begins and when it is over.
    package init(
        peers: PeerRegistry, table: AuthorizationTable, limits: RequestLimits = RequestLimits(),
        tokens: (any BearerVerifier)? = nil,
        report: @escaping @Sendable (RequestRecord) -> Void = { _ in }
    ) {
        self.peers = peers
        self.table = table
        self.limits = limits
        self.tokens = tokens
        self.report = report
    }

    package func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>, context: ServerContext,
        next: @Sendable (StreamingServerRequest<Input>, ServerContext) async throws -> StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        let method = context.descriptor.fullyQualifiedMethod
        var record = RequestRecord(
            peer: peers.peer(context), method: method, requestID: Self.requestID(request.metadata), outcome: .begun)
        func refuse(_ code: RPCError.Code, _ reason: String) -> RPCError {
            record.outcome = .refused(code, reason)
            report(record)
            return RPCError(code: code, message: reason)
        }
        var end: Date?
        if record.peer == nil, let tokens, let address = peers.guest(context) {
            record.address = address
            do {
                let user = try await Self.user(request.metadata, tokens)
                record.peer = Peer(role: user.role, name: user.name, identity: nil, address: address)
                end = user.end
            } catch { throw refuse(.unauthenticated, "\(error)") }
        }
        guard let peer = record.peer else { throw refuse(.unauthenticated, "nobody is known on this connection") }
        guard table.permits(peer.role, method) else {
            throw refuse(.permissionDenied, "role \(peer.role.rawValue) may not call \(method)")
        }
        guard let admission = limits.admit(peer) else {
            throw refuse(.resourceExhausted, "too many requests at once")
        }
        let begun = OnceReported(record, report)
        let ended: @Sendable (RPCError.Code?) -> Void = { code in
            admission.end()
            begun.end(code)
        }
        // Told when the handler has the request in hand, and before it can do anything about it.
        let told = StreamingServerRequest(
            metadata: request.metadata,
            messages: RPCAsyncSequence(
                wrapping: request.messages.map { message in
                    begun.begin((message as? any RequestDescribing)?.requestSummary ?? "")
                    return message
                }))
        do {
            let response = try await CurrentRequest.$id.withValue(record.requestID) { try await next(told, context) }
            switch response.accepted {
            case .success(let contents):
                return StreamingServerResponse(metadata: contents.metadata) { [id = record.requestID, end] writer in
                    do {
                        let trailers = try await CurrentRequest.$id.withValue(id) {
                            try await Self.run(until: end) { try await contents.producer(writer) }
                        }
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

    /// Whose the only token of a request is.
    private static func user(_ metadata: Metadata, _ tokens: any BearerVerifier) async throws -> TokenUser {
        let fields = Array(metadata[stringValues: "authorization"])
        guard fields.count == 1, let token = BearerToken.token(fields[0]) else {
            throw RefusedToken(description: "a bearer token is needed")
        }
        return try await tokens.user(of: token)
    }

    /// Runs what was begun with a token for as long as that is valid.
    private static func run(
        until end: Date?, _ body: @escaping @Sendable () async throws -> Metadata
    ) async throws -> Metadata {
        guard let lifetime = end.map({ TokenLifetime(until: $0) }) else { return try await body() }
        return try await withThrowingTaskGroup(of: Metadata.self) { group in
            group.addTask(operation: body)
            group.addTask {
                try await lifetime.wait()
                throw RPCError(code: .unauthenticated, message: "the token has expired")
            }
            defer { group.cancelAll() }
            return try await group.next() ?? [:]
        }
    }

    /// What the caller calls its request, if that is harmless.
    private static func requestID(_ metadata: Metadata) -> String {
        let text = metadata[stringValues: requestIDKey].first { _ in true } ?? ""
        return PeerIdentity.isName(text) && text.utf8.count <= 64 ? text : RequestNumber.make()
    }
}

/// Numbers that nobody else gives.
package enum RequestNumber {
    /// 16 hexadecimal digits.
    package static func make() -> String {
        let digits = String(UInt64.random(in: 0...UInt64.max), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// Tells of a request's beginning once, and of its end.
private final class OnceReported: Sendable {
    private let record: Mutex<(record: RequestRecord, isTold: Bool)>
    private let report: @Sendable (RequestRecord) -> Void

    init(_ record: RequestRecord, _ report: @escaping @Sendable (RequestRecord) -> Void) {
        self.record = Mutex((record, false))
        self.report = report
    }

    func begin(_ summary: String) {
        let record = record.withLock { state -> RequestRecord? in
            if state.isTold { return nil }
            (state.record.summary, state.isTold) = (summary, true)
            return state.record
        }
        if let record { report(record) }
    }

    func end(_ code: RPCError.Code?) {
        begin("")
        var record = record.withLock { $0.record }
        record.outcome = .ended(code)
        report(record)
    }
}
