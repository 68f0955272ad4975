import EventSpool

/// A record while a stream looks at it.
package typealias RecordView = SpoolReader.Record

/// What a stream is to have.
package struct RecordRequest: Sendable, Hashable {
    /// The kinds, and where each begins.
    package var starts: [SpoolKind: SpoolStart]
    /// The spool that the starts are numbers of; `nil` for the one there is.
    package var spool: UInt64?
    /// Nanoseconds after which a reader that is too slow does not get a record any more (`FreshnessGate`); `nil` for never.
    package var freshness: UInt64?

    /// Creates a request.
    package init(starts: [SpoolKind: SpoolStart], spool: UInt64? = nil, freshness: UInt64? = nil) {
        self.starts = starts
        self.spool = spool
        self.freshness = freshness
    }

    /// It begins with what happens now.
    package var isLive: Bool { starts.values.allSatisfy { $0 == .now } }
}

/// Where streams get their records from: an agent's spool, or what a relay collects.
package protocol RecordSource: Sendable {
    /// A place of its own for a stream.
    func open(_ request: RecordRequest) throws -> any RecordCursor
}

/// A stream's place in a source. One task uses it; `cancel` may be called by any.
package protocol RecordCursor: AnyObject, Sendable {
    /// Names what the numbers count in; other numbers, other name.
    var spool: UInt64 { get }

    /// Gives out records, at least one; waits until there is one.
    ///
    /// - Parameter body: called with each; the payload is valid only during the call.
    /// - Throws: `CancellationError` after `cancel`.
    func next(_ body: (RecordView) -> Void) async throws

    /// Ends a wait, now or later.
    func cancel()
}

/// The records of a spool on disk.
package final class SpoolSource: RecordSource {
    private let descriptor: Int32
    private let wake: WakeBroadcast

    /// - Parameters:
    ///   - descriptor: the spool's directory, open as long as the source lives.
    ///   - wake: signalled when there are records.
    package init(descriptor: Int32, wake: WakeBroadcast) {
        self.descriptor = descriptor
        self.wake = wake
    }

    package func open(_ request: RecordRequest) throws -> any RecordCursor {
        // What was taken out of the spool is getting old until it is written: a stream that is to be fresh takes less at once.
        let chunk = request.freshness == nil ? SpoolReader.chunk : SpoolCursor.freshChunk
        let reader = try SpoolReader(
            descriptor: descriptor, from: request.starts, expecting: request.spool, chunk: chunk)
        let now = SpoolWriter.realTime()
        return SpoolCursor(
            reader, wake: wake,
            gate: request.freshness.map { FreshnessGate(limit: $0, isLive: request.isLive, now: now) })
    }
}
