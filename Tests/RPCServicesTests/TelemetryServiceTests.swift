import EventSpool
import Foundation
import GRPCCore
import RPCServices
import Testing
import WireProtocol

@Suite(.timeLimit(.minutes(10))) struct TelemetryServiceTests {
    private func stream(
        _ server: LiveServer, _ request: Portcullis_V1_StreamRequest,
        until isDone: @escaping @Sendable ([Portcullis_V1_Record]) -> Bool
    ) async throws -> [Portcullis_V1_Record] {
        try await server.withClient { client in
            try await Portcullis_V1_Telemetry.Client(wrapping: client).stream(request) { response in
                var records: [Portcullis_V1_Record] = []
                for try await batch in response.messages {
                    #expect(batch.spool.count == 16)
                    records += batch.records
                    if isDone(records) { break }
                }
                return records
            }
        }
    }

    private static func everything(_ filter: [String: String] = [:]) -> Portcullis_V1_StreamRequest {
        .with {
            $0.kinds = [.alert, .log, .message]
            $0.resume = [.alert, .log, .message].map { kind in .with { $0.kind = kind } }
            $0.filter = filter
        }
    }

    @Test func batchesHaveEveryRecordInOrder() async throws {
        let server = try LiveServer()
        var writer = try server.writer()
        for number in 1...5000 {
            writer.append(.alert, LiveServer.alert("/\(number)"))
            if number % 10 == 0 {
                writer.append(.log, try Feeder_Log.with { $0.resource = "\(number)" }.serializedBytes())
            }
        }
        writer.append(.message, [])
        writer.flush()
        let got = try await stream(server, Self.everything()) { $0.last?.kind == .message }
        #expect(got.filter { $0.kind == .alert }.map(\.sequence) == Array(1...5000))
        #expect(got.filter { $0.kind == .log }.map(\.sequence) == Array(1...500))
        #expect(try Feeder_Alert(serializedBytes: got[0].payload).resource == "/1")
        #expect(got.last?.payload.isEmpty == true && got.allSatisfy { $0.missed == 0 })
    }

    @Test func filtersComparePartsOfFields() async throws {
        let server = try LiveServer()
        var writer = try server.writer()
        for number in 1...100 {
            writer.append(
                .alert,
                try Feeder_Alert.with {
                    $0.resource = number % 10 == 0 ? "/etc/Shadow" : "/tmp/x"
                    $0.action = number % 20 == 0 ? "Block" : "Audit"
                    $0.eventData = ["Resource": "shadow"]
                }.serializedBytes())
        }
        writer.append(.log, try Feeder_Log.with { $0.resource = "/etc/shadow" }.serializedBytes())
        writer.append(
            .alert, try Feeder_Alert.with { ($0.resource, $0.action) = ("shadow end", "block") }.serializedBytes())
        writer.flush()
        let got = try await stream(server, Self.everything(["resource": "SHADOW", "Action": "block"])) {
            $0.last?.sequence == 101
        }
        #expect(got.map(\.sequence) == [20, 40, 60, 80, 100, 101])
        #expect(got.allSatisfy { $0.kind == .alert }, "a log has no action")
    }

    @Test(arguments: [
        Portcullis_V1_StreamRequest(), .with { $0.kinds = [.unspecified] }, .with { $0.kinds = [.UNRECOGNIZED(9)] },
        .with {
            $0.kinds = [.alert]
            $0.filter = ["NoSuchField": "x"]
        },
        .with {
            $0.kinds = [.alert]
            $0.filter = ["Resource": String(repeating: "x", count: 2000)]
        },
        .with {
            $0.kinds = [.alert]
            $0.resume = [.with { $0.kind = .log }]
        },
        .with {
            $0.kinds = [.alert, .log]
            $0.resume = [
                .with { ($0.kind, $0.spool) = (.alert, "0000000000000001") },
                .with { ($0.kind, $0.spool) = (.log, "0000000000000002") },
            ]
        },
    ])
    func whatMeansNothingIsRefused(request: Portcullis_V1_StreamRequest) async throws {
        let server = try LiveServer()
        let error = await #expect(throws: RPCError.self) { _ = try await stream(server, request) { _ in true } }
        #expect(error?.code == .invalidArgument)
    }

    /// What was missed before a record that the filter leaves out is told all the same.
    @Test func lossesPassTheFilter() async throws {
        let server = try LiveServer()
        var writer = try server.writer(SpoolLimits(totalBytes: 64 << 10, segmentBytes: 8 << 10))
        for number in 1...2000 {
            writer.append(.alert, LiveServer.alert("/\(number)" + String(repeating: "x", count: 100)))
        }
        writer.append(.alert, LiveServer.alert("wanted"))
        writer.flush()
        let got = try await stream(server, Self.everything(["Resource": "wanted"])) {
            $0.last?.payload.isEmpty == false
        }
        #expect(got.count == 2 && got[0].payload.isEmpty)
        #expect(got[0].missed > 0 && got[0].missed == got[0].sequence - 1)
        #expect(got[1].sequence == 2001 && got[1].missed == 0)
    }
}
