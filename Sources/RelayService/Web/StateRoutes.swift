import HTTPTypes
import Hummingbird
import RPCTransport

/// For machines: whether the relay is well, and what it counts.
struct StateRoutes: Sendable {
    let metrics: Metrics
    let history: History
    let admission: WebAdmission

    func add(to router: Router<WebContext>) {
        // Says nothing that a connection would not say.
        router.get("healthz") { _, _ in Self.text("ok\n") }
        router.get("readyz") { [self] _, _ in
            guard history.isSound else { return Self.text("the history fails\n", status: .serviceUnavailable) }
            return Self.text("ok\n")
        }
        router.get("metrics") { [self] _, context in
            guard admission.peer(context.channel) != nil else { throw HTTPError(.unauthorized) }
            return Self.text(metrics.text, type: "text/plain; version=0.0.4; charset=utf-8")
        }
    }

    private static func text(
        _ text: String, status: HTTPResponse.Status = .ok, type: String = "text/plain; charset=utf-8"
    ) -> Response {
        Response(
            status: status, headers: [.contentType: type], body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
