import EventSpool
import Foundation
import GRPCCore
import HTTPTypes
import Hummingbird
import RPCServices
import ServiceLifecycle
import Synchronization
import WireProtocol

/// Live alerts as server-sent events, with numbers by which a browser goes on where it was.
///
/// A browser that reads slowly has nothing kept for it: it goes on with what there is, and a `gap` event says how much it did not get.
struct EventStream: Sendable {
    let log: FanOutLog
    let sessions: WebSessions
    /// More alerts in a second are more than anybody reads: the newest are shown, the others are told in a gap.
    private static let perSecond = 200
    private static let heartbeat = Duration.seconds(15)

    func add(to routes: RouterGroup<WebContext>) {
        routes.get("events") { [self] request, context in try open(request, context) }
    }

    private func open(_ request: Request, _ context: WebContext) throws -> Response {
        guard let session = context.session, let cookie = WebAccess.cookie(request) else {
            throw HTTPError(.unauthorized)
        }
        let filter = try Self.filter(request)
        guard sessions.beginStream(session.user) else { throw HTTPError(.tooManyRequests) }
        let user = session.user
        do {
            let cursor = try log.open(Self.start(request, log))
            return Response(
                status: .ok, headers: [.contentType: "text/event-stream"],
                body: ResponseBody { writer in
                    defer { sessions.endStream(user) }
                    do {
                        try await write(cursor, filter, cookie, &writer)
                        try await writer.finish(nil)
                    } catch is CancellationError {
                        try await writer.finish(nil)
                    }
                })
        } catch {
            sessions.endStream(user)
            throw error
        }
    }

    /// `Last-Event-ID`, or the newest `recent` alerts.
    private static func start(_ request: Request, _ log: FanOutLog) -> RecordRequest {
        if let name = HTTPField.Name("last-event-id"), let text = request.headers[name], let place = Place(text) {
            return RecordRequest(starts: [.alert: .after(place.sequence)], spool: place.spool)
        }
        let recent = UInt64(request.uri.queryParameters.get("recent", as: UInt.self).map { min($0, 500) } ?? 0)
        let newest = log.newestSequence(.alert)
        return RecordRequest(starts: [.alert: .after(newest - min(newest, recent))])
    }

    /// `filter=FIELD=TEXT`, repeatable.
    private static func filter(_ request: Request) throws -> RecordFilter {
        var texts: [String: String] = [:]
        for value in request.uri.queryParameters[values: "filter"] {
            guard let equals = value.firstIndex(of: "=") else { throw HTTPError(.badRequest) }
            texts[String(value[..<equals])] = String(value[value.index(after: equals)...])
        }
        do { return try RecordFilter(texts) } catch { throw HTTPError(.badRequest) }
    }

    private func write(
        _ cursor: any RecordCursor, _ filter: RecordFilter, _ cookie: String, _ writer: inout any ResponseBodyWriter
    ) async throws {
        let events = EventBatch(perSecond: Self.perSecond)
        try await writer.write(ByteBuffer(string: "retry: 1000\n\n"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                // Ends when the session does, and at the relay's own end.
                try await withGracefulShutdownHandler {
                    while sessions.isOpen(cookie) {
                        try await Task.sleep(for: Self.heartbeat)
                        events.beat()
                    }
                } onGracefulShutdown: {
                    events.end()
                }
                events.end()
            }
            group.addTask {
                try await withTaskCancellationHandler {
                    while true {
                        try await cursor.next { events.add($0, filter) }
                        // Nothing more is read before the browser has taken this.
                        await events.flush()
                    }
                } onCancel: {
                    cursor.cancel()
                }
            }
            defer { group.cancelAll() }
            while let text = await events.next() { try await writer.write(ByteBuffer(string: text)) }
        }
    }

    /// A place in the records: `<spool>-<number>`.
    struct Place {
        var spool: UInt64
        var sequence: UInt64

        init?(_ text: String) {
            let parts = text.split(separator: "-")
            guard parts.count == 2, let spool = SpoolName.parse(String(parts[0])), let sequence = UInt64(parts[1])
            else {
                return nil
            }
            (self.spool, self.sequence) = (spool, sequence)
        }
    }
}
