import EventSpool
import Foundation
import GRPCCore
import RPCServices
import RPCTransport
import Testing
import WireProtocol

@Suite(.timeLimit(.minutes(10))) struct LogServiceTests {
    /// Watches alerts from a place until it has `count` of them.
    private func watch(
        _ server: LiveServer, _ request: Feeder_RequestMessage, count: Int,
        ready: @escaping @Sendable () throws -> Void = {}
    ) async throws -> (spool: String, alerts: [Feeder_Alert]) {
        try await server.withClient { client in
            let service = Feeder_LogService.Client(wrapping: client)
            return try await service.watchAlerts(request) { response in
                let spool = response.metadata[stringValues: LogService.spoolKey].first { _ in true } ?? ""
                try ready()
                var alerts: [Feeder_Alert] = []
                for try await alert in response.messages {
                    alerts.append(alert)
                    if alerts.count == count { break }
                }
                return (spool, alerts)
            }
        }
    }

    private func write(
        _ server: LiveServer, _ range: ClosedRange<Int>, limits: SpoolLimits = SpoolLimits(), tail: String = ""
    ) throws {
        var writer = try server.writer(limits)
        for number in range {
            writer.append(.alert, LiveServer.alert("/\(number)" + tail))
            if number % 100 == 0 { writer.flush() }
        }
        writer.flush()
        server.wake.signal()
    }

    @Test func whatIsMadeLaterComes() async throws {
        let server = try LiveServer()
        try write(server, 1...3)
        let got = try await watch(server, .with { $0.filter = "policy" }, count: 2) { try write(server, 4...5) }
        #expect(got.alerts.map(\.resource) == ["/4", "/5"])
        #expect(got.alerts.map(\.sequence) == [4, 5])
        #expect(got.alerts.allSatisfy { $0.missed == 0 })
        #expect(got.spool.count == 16)
    }

    @Test func aStreamGoesOnBehindWhatTheClientHas() async throws {
        let server = try LiveServer()
        try write(server, 1...10)
        let first = try await watch(
            server,
            .with {
                $0.filter = "all"
                $0.resumeAfter = 0
            }, count: 4)
        #expect(first.alerts.map(\.sequence) == [1, 2, 3, 4])
        // The agent may have been restarted meanwhile: another writer goes on in the same spool.
        try write(server, 11...12)
        let second = try await watch(
            server,
            .with {
                $0.filter = "all"
                $0.resumeAfter = 4
                $0.spool = first.spool
            }, count: 8)
        #expect(second.alerts.map(\.sequence) == Array(5...12))
        #expect(second.alerts.allSatisfy { $0.missed == 0 })
        let other = try await watch(
            server,
            .with {
                $0.filter = "all"
                $0.resumeAfter = 4
                $0.spool = "00000000000000ff"
            }, count: 1)
        #expect(other.alerts.map(\.sequence) == [1], "numbers of another spool mean nothing")
    }

    /// A client that reads nothing while the spool goes over its limit several times is told of every alert it did not get, and
    /// another one beside it gets all of them in time.
    @Test func aSlowClientIsToldExactlyWhatItMissed() async throws {
        let server = try LiveServer()
        let limits = SpoolLimits(totalBytes: 256 << 10, segmentBytes: 16 << 10)
        let total = 60_000
        try await server.withClient { client in
            let service = Feeder_LogService.Client(wrapping: client)
            try await service.watchAlerts(.with { $0.filter = "all" }) { response in
                // Nothing is read before all is written. What the other one has to get fits into the spool, however late it reads.
                let got = try await watch(server, .with { $0.filter = "all" }, count: 500) {
                    try write(server, 1...500, limits: limits)
                }
                #expect(got.alerts.map(\.sequence) == Array(1...500))
                try write(server, 501...total, limits: limits, tail: String(repeating: "x", count: 100))
                try write(server, total + 1...total + 1, limits: limits, tail: "end")
                var (count, missed, isEnd) = (0, 0, false)
                for try await alert in response.messages {
                    count += 1
                    missed += Int(alert.missed)
                    isEnd = alert.resource.hasSuffix("end")
                    if isEnd { break }
                }
                #expect(isEnd && missed > 0, "\(count) \(missed)")
                #expect(count + missed == total + 1)
            }
        }
    }

    @Test func filtersOfOtherStreamsEndAtOnce() async throws {
        let server = try LiveServer()
        for filter in ["", "system", "Policy", "all "] {
            let got = try await watch(server, .with { $0.filter = filter }, count: 1)
            #expect(got.alerts.isEmpty)
        }
    }

    @Test func logsAndMessagesHaveTheirOwnStreams() async throws {
        let server = try LiveServer()
        var writer = try server.writer()
        writer.append(.alert, LiveServer.alert("/alert"))
        writer.append(.log, try Feeder_Log.with { $0.resource = "/log" }.serializedBytes())
        writer.append(.message, try Feeder_Message.with { $0.message = "text" }.serializedBytes())
        writer.flush()
        try await server.withClient { client in
            let service = Feeder_LogService.Client(wrapping: client)
            let logs = try await service.watchLogs(
                .with {
                    $0.filter = "system"
                    $0.resumeAfter = 0
                }
            ) { try await $0.messages.first { _ in true } }
            #expect(logs?.resource == "/log" && logs?.sequence == 1)
            let messages = try await service.watchMessages(.with { $0.resumeAfter = 0 }) {
                try await $0.messages.first { _ in true }
            }
            #expect(messages?.message == "text" && messages?.sequence == 1)
        }
    }

    @Test func whatIsNotInTheTableIsRefusedAndReported() async throws {
        let records = RecordLog()
        let server = try LiveServer(
            table: AuthorizationTable([
                "feeder.LogService/HealthCheck": [.local], "feeder.LogService/WatchAlerts": [.relay],
            ]),
            report: records.add)
        try await server.withClient { client in
            let service = Feeder_LogService.Client(wrapping: client)
            let reply = try await service.healthCheck(.with { $0.nonce = 7 })
            #expect(reply.retval == 7)
            for _ in 0..<2 {
                let error = await #expect(throws: RPCError.self) {
                    try await service.watchAlerts(.with { $0.filter = "all" }) { response in
                        for try await _ in response.messages {}
                    }
                }
                #expect(error?.code == .permissionDenied)
            }
            let error = await #expect(throws: RPCError.self) {
                try await service.watchLogs(.with { $0.filter = "all" }) { response in
                    for try await _ in response.messages {}
                }
            }
            #expect(error?.code == .permissionDenied)
        }
        let refused = records.all.filter { if case .refused = $0.outcome { true } else { false } }
        #expect(
            refused.map(\.method) == [
                "feeder.LogService/WatchAlerts", "feeder.LogService/WatchAlerts", "feeder.LogService/WatchLogs",
            ])
        #expect(refused.allSatisfy { $0.peer?.name == "uid:\(geteuid())" && $0.peer?.role == .local })
    }

    @Test func nobodyRunsMoreThanItsShare() async throws {
        let limits = RequestLimits(total: 10, perPeer: 3)
        let server = try LiveServer(limits: limits)
        try await server.withClient { client in
            let service = Feeder_LogService.Client(wrapping: client)
            try await withThrowingTaskGroup(of: RPCError.Code?.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        do {
                            try await service.watchAlerts(.with { $0.filter = "all" }) { response in
                                for try await _ in response.messages { break }
                            }
                            return nil
                        } catch let error as RPCError { return error.code }
                    }
                }
                var codes: [RPCError.Code] = []
                for _ in 0..<5 { if let code = try await group.next() ?? nil { codes.append(code) } }
                #expect(codes == Array(repeating: .resourceExhausted, count: 5))
                #expect(limits.running == 3)
                try write(server, 1...1)
                try await group.waitForAll()
            }
            let end = ContinuousClock.now + .seconds(60)
            while limits.running > 0, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(5)) }
            #expect(limits.running == 0, "a stream that ended is not counted any more")
        }
    }

    /// Streams whose client has gone end, also when nothing happens.
    @Test func aClientThatGoesLeavesNothingBehind() async throws {
        let limits = RequestLimits()
        let server = try LiveServer(limits: limits)
        try await server.withClient { client in
            let service = Feeder_LogService.Client(wrapping: client)
            try await service.watchAlerts(.with { $0.filter = "all" }) { _ in
                #expect(limits.running == 1)
            }
        }
        let end = ContinuousClock.now + .seconds(60)
        while limits.running > 0 || server.peers.count > 0, ContinuousClock.now < end {
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(limits.running == 0 && server.peers.count == 0)
    }
}
