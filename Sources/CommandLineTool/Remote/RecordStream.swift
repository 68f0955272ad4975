import ClientSupport
import ControlProtocol
import GRPCCore
import Telemetry
import WireProtocol

/// The records of an agent or relay, as a verb sees them.
struct RecordStream: Sendable {
    /// A record.
    enum Item: Sendable {
        case alert(Alert, agent: String)
        case log(Alert, agent: String)
        case message(Feeder_Message)
        /// So many of what was asked for are gone.
        case missed(UInt64)
    }

    /// Where a stream ended.
    struct Place: Sendable {
        var spool = ""
        var sequences: [Portcullis_V1_RecordKind: UInt64] = [:]
    }

    var request: Portcullis_V1_StreamRequest

    /// Gives out items until the closure says that it has enough; returns when the stream ends or breaks.
    ///
    /// - Parameter take: false ends the stream.
    func follow(
        _ client: RemoteSession.Client, started: @escaping @Sendable () -> Void = {},
        _ take: @escaping @Sendable (Item, Place) async throws -> Bool
    ) async throws {
        try await Portcullis_V1_Telemetry.Client(wrapping: client).stream(request, options: RemoteSession.stream) {
            response in
            started()
            var place = Place()
            for try await batch in response.messages {
                place.spool = batch.spool
                for record in batch.records {
                    place.sequences[record.kind] = record.sequence
                    if record.missed > 0, try await !take(.missed(record.missed), place) { return }
                    if let item = try Self.item(record), try await !take(item, place) { return }
                }
            }
        }
    }

    private static func item(_ record: Portcullis_V1_Record) throws -> Item? {
        guard !record.payload.isEmpty else { return nil }
        switch record.kind {
        case .alert:
            let alert = try Feeder_Alert(serializedBytes: record.payload)
            return .alert(FeederRecords.alert(alert), agent: alert.agent)
        case .log:
            let log = try Feeder_Log(serializedBytes: record.payload)
            return .log(FeederRecords.log(log), agent: log.agent)
        case .message: return .message(try Feeder_Message(serializedBytes: record.payload))
        case .unspecified, .UNRECOGNIZED: return nil
        }
    }
}
