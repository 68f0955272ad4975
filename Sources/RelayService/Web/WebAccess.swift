import AuditLog
import Foundation
import HTTPTypes
import Hummingbird
import RPCServices
import RPCTransport

/// Who may ask the page's interface for what, and the record of who did.
struct WebAccess: RouterMiddleware {
    typealias Context = WebContext

    /// The cookie: of this host only, by TLS only, and no business of scripts or of other sites.
    static let cookieName = "__Host-portcullis"
    static let tokenHeader = HTTPField.Name("x-portcullis-token")
    private static let fetchSite = HTTPField.Name("sec-fetch-site")

    let sessions: WebSessions
    let admission: WebAdmission
    let trail: AuditTrail

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        let session = Self.cookie(request).flatMap { sessions.session($0) }
        var entry = AuditEntry(
            .request, peer: session?.user ?? admission.peer(context.channel)?.name ?? "",
            address: Self.address(context), method: "\(request.method.rawValue) \(request.uri.path)",
            request: RequestNumber.make(), object: request.uri.query ?? "")
        do {
            try check(request, session)
            var context = context
            context.session = session
            trail.writer.write(entry)
            let response = try await next(request, context)
            (entry.kind, entry.object, entry.outcome) = (.outcome, "", "\(response.status.code)")
            trail.writer.write(entry)
            return response
        } catch let error as any HTTPResponseError {
            (entry.kind, entry.outcome) = (.refusal, "\(error.status.code)")
            trail.writer.write(entry)
            throw error
        }
    }

    private func check(_ request: Request, _ session: WebSessions.Session?) throws {
        let isSafe = request.method == .get || request.method == .head
        // What a browser sends for another site's sake says so.
        if let name = Self.fetchSite, let site = request.headers[name], site != "same-origin", site != "none" {
            throw HTTPError(.forbidden)
        }
        if let origin = request.headers[.origin], origin != "https://\(request.head.authority ?? "")" {
            throw HTTPError(.forbidden)
        }
        if !isSafe {
            guard request.headers[.origin] != nil else { throw HTTPError(.forbidden) }
            guard request.headers[.contentType] == "application/json" else { throw HTTPError(.unsupportedMediaType) }
        }
        // To begin a session is all that can be done without one.
        if request.method == .post, request.uri.path == "/api/session" { return }
        guard let session else { throw HTTPError(.unauthorized) }
        if !isSafe {
            guard let name = Self.tokenHeader, request.headers[name] == session.token else {
                throw HTTPError(.forbidden)
            }
        }
    }

    /// The session's cookie, if there is exactly one.
    static func cookie(_ request: Request) -> String? {
        let found = request.headers[values: .cookie].flatMap { $0.split(separator: ";") }.compactMap {
            part -> String? in
            let pair = part.drop { $0 == " " }
            return pair.hasPrefix(cookieName + "=") ? String(pair.dropFirst(cookieName.count + 1)) : nil
        }
        return found.count == 1 ? found.first : nil
    }

    /// The peer's address without its port.
    static func address(_ context: Context) -> String { context.channel.remoteAddress?.ipAddress ?? "" }
}
