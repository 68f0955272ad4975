import GRPCCore

/// From a cursor to a stream.
enum RecordStreaming {
    /// Opens a cursor; what keeps it from being opened is an error of the call.
    static func open(_ source: any RecordSource, _ request: RecordRequest) throws(RPCError) -> any RecordCursor {
        do { return try source.open(request) } catch {
            throw RPCError(code: .unavailable, message: "the records cannot be read: \(error)")
        }
    }

    /// Writes what the cursor gives until the call is cancelled. The writer waits while the client does not read; nothing is
    /// kept for it meanwhile but what was taken out of the source last.
    ///
    /// - Parameter add: adds messages for a record.
    static func run(
        _ cursor: any RecordCursor, _ writer: RPCWriter<RawMessage>,
        _ add: @escaping (RecordView, inout [RawMessage]) -> Void
    ) async throws -> Metadata {
        try await withRPCCancellationHandler {
            do {
                while true {
                    var messages: [RawMessage] = []
                    try await cursor.next { add($0, &messages) }
                    if !messages.isEmpty { try await writer.write(contentsOf: messages) }
                }
            } catch is CancellationError {
                return [:]
            }
        } onCancelRPC: {
            cursor.cancel()
        }
    }
}
