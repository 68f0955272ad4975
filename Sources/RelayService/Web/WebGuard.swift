import HTTPTypes
import Hummingbird

/// Stands before every answer: what browsers are told about it, whatever it is.
struct WebGuard: RouterMiddleware {
    typealias Context = WebContext

    private static let fields: [(HTTPField.Name, String)] = {
        let texts = [
            (
                "content-security-policy",
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
                    + "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
            ),
            ("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"), ("cross-origin-resource-policy", "same-origin"),
            ("permissions-policy", "camera=(), geolocation=(), microphone=()"), ("cache-control", "no-store"),
            ("strict-transport-security", "max-age=31536000"),
        ]
        return texts.compactMap { name, value in HTTPField.Name(name).map { ($0, value) } }
    }()

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do { response = try await next(request, context) } catch let error as any HTTPResponseError {
            // Words of a request never come back in an error.
            response = Response(status: error.status)
        }
        for (name, value) in Self.fields { response.headers[name] = value }
        return response
    }
}
