import Foundation
import HTTPTypes
import Hummingbird
import RPCTransport

/// Beginning and ending of sessions.
struct SessionRoutes: Sendable {
    let sessions: WebSessions
    let admission: WebAdmission
    /// Says whose a token is; `nil` where nobody has one.
    let tokens: (any BearerVerifier)?

    /// What the page learns of its session.
    private struct Answer: Encodable {
        var user: String
        var token: String
    }

    func add(to routes: RouterGroup<WebContext>) {
        routes.get("session") { _, context in
            guard let session = context.session else { throw HTTPError(.unauthorized) }
            return try WebJSON.response(Answer(user: session.user, token: session.token))
        }
        routes.post("session") { [self] request, context in try await begin(request, context) }
        routes.delete("session") { [self] request, _ in
            if let cookie = WebAccess.cookie(request) { sessions.end(cookie) }
            return Response(status: .noContent, headers: [.setCookie: Self.cookie("", maximumAge: 0)])
        }
    }

    /// Whoever has a certificate of the authority, with a role that may read, or shows a token.
    private func begin(_ request: Request, _ context: WebContext) async throws -> Response {
        let address = WebAccess.address(context)
        guard !sessions.isLockedOut(address) else { throw HTTPError(.tooManyRequests) }
        let issued: WebSessions.Issued
        if let peer = admission.peer(context.channel) {
            issued = sessions.begin(user: peer.name, address: address)
        } else {
            let fields = request.headers[values: .authorization]
            guard let tokens, fields.count == 1, let token = BearerToken.token(fields[0]),
                let user = try? await tokens.user(of: token)
            else {
                sessions.noteFailure(address)
                throw HTTPError(.unauthorized)
            }
            issued = sessions.begin(user: user.name, address: address, tokenEnd: user.end)
        }
        var response = try WebJSON.response(Answer(user: issued.session.user, token: issued.session.token))
        response.headers[.setCookie] = Self.cookie(issued.cookie, maximumAge: 12 * 3600)
        return response
    }

    private static func cookie(_ value: String, maximumAge: Int) -> String {
        "\(WebAccess.cookieName)=\(value); Path=/; Max-Age=\(maximumAge); Secure; HttpOnly; SameSite=Strict"
    }
}

/// JSON answers.
enum WebJSON {
    static func response(_ value: some Encodable) throws -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: try encoder.encode(value))))
    }

    static var encoder: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }
}
