import EventSpool
import Foundation
import RPCServices
import Testing
import WireProtocol

@testable import RelayService

@Suite struct RecordCheckTests {
    private func isSound(_ kind: SpoolKind, _ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { RecordCheck.isSound(kind, $0) }
    }

    private static let alert = Feeder_Alert.with {
        $0.timestamp = 5
        $0.updatedTime = "2026-05-26T04:46:57.355927Z"
        ($0.hostPid, $0.ppid, $0.pid, $0.uid) = (1, 2, 3, -1)
        ($0.policyName, $0.resource, $0.data) = ("p", "/ünïcode/\u{1F600}", "lsm=FILE_OPEN")
        $0.atags = ["a", "b"]
        $0.owner = .with { ($0.ref, $0.name, $0.namespace) = ("Pod", "n", "ns") }
        $0.execEvent = .with { ($0.execID, $0.executableName) = ("0", "cat") }
        $0.eventData = ["Lsm": "FILE_OPEN"]
        ($0.lost, $0.suppressed, $0.policyGeneration, $0.truncated) = (1, 2, 3, true)
        $0.raw = ["Resource": Data([0xff, 0x00])]
    }

    @Test func realRecordsAreSound() throws {
        #expect(isSound(.alert, try Self.alert.serializedBytes()))
        let log = Feeder_Log.with {
            ($0.type, $0.resource, $0.result, $0.hostPpid) = ("HostLog", "/x", "Passed", 4)
            $0.execEvent = .init()
            $0.eventData = ["A": "b"]
            $0.userName = "ann"
        }
        #expect(isSound(.log, try log.serializedBytes()))
        #expect(isSound(.message, try Feeder_Message.with { ($0.timestamp, $0.message) = (1, "m") }.serializedBytes()))
        #expect(isSound(.alert, []))
    }

    /// What a relay sets itself, no agent may set.
    @Test func agentsDoNotSpeakForTheRelay() throws {
        for change in [
            { (alert: inout Feeder_Alert) in alert.sequence = 1 }, { $0.missed = 1 }, { $0.agent = "other" },
            { $0.agentSequence = 1 },
        ] {
            var alert = Self.alert
            change(&alert)
            #expect(!isSound(.alert, try alert.serializedBytes()))
        }
    }

    /// Whatever is let through, a client's decoder reads. 50 000 random changes of a real record.
    @Test func whatIsSoundCanBeRead() throws {
        let bytes: [UInt8] = try Self.alert.serializedBytes()
        var random = SystemRandomNumberGenerator()
        var passed = 0
        for _ in 0..<50_000 {
            var changed = bytes
            for _ in 0..<Int.random(in: 1...3, using: &random) where !changed.isEmpty {
                switch Int.random(in: 0..<4, using: &random) {
                case 0:
                    changed[Int.random(in: 0..<changed.count, using: &random)] = UInt8.random(
                        in: 0...255, using: &random)
                case 1: changed.remove(at: Int.random(in: 0..<changed.count, using: &random))
                case 2:
                    changed.insert(
                        UInt8.random(in: 0...255, using: &random), at: Int.random(in: 0...changed.count, using: &random)
                    )
                default: changed = Array(changed.prefix(Int.random(in: 1...changed.count, using: &random)))
                }
            }
            guard isSound(.alert, changed) else { continue }
            passed += 1
            #expect(throws: Never.self, "\(changed)") { _ = try Feeder_Alert(serializedBytes: changed) }
        }
        #expect(passed > 1000, "the check is not merely closed")
    }

    @Test func anIntakeLeavesOutWhatCameBefore() throws {
        let log = FanOutLog(limit: 1 << 20)
        var intake = AgentIntake(name: "node1", position: nil, spool: "0000000000000001")
        func batch(_ sequences: [UInt64], missed: UInt64 = 0, spool: String = "0000000000000001", payload: Data? = nil)
            throws -> [UInt8]
        {
            let payload = try payload ?? Self.alert.serializedData()
            return try Portcullis_V1_Batch.with {
                $0.spool = spool
                $0.records = sequences.map { sequence in
                    .with { ($0.kind, $0.sequence, $0.missed, $0.payload) = (.alert, sequence, missed, payload) }
                }
            }.serializedBytes()
        }
        intake.take(try batch([5, 6, 7]), into: log)
        #expect(
            intake.received == 3 && intake.missed == 0 && log.appended == 3, "where it begins there was nothing before")
        intake.take(try batch([6, 7, 8]), into: log)
        #expect(intake.received == 4 && intake.repeated == 2)
        intake.take(try batch([12]), into: log)
        #expect(intake.received == 5 && intake.missed == 3)
        intake.take(try batch([13], payload: Data([0xff, 0xff])), into: log)
        #expect(intake.malformed == 1 && log.appended == 5)
        intake.take(try batch([1], spool: "0000000000000002"), into: log)
        #expect(
            intake.received == 6 && intake.position.spool == "0000000000000002" && intake.position.next[.alert] == 2)
        intake.take([0xff, 0x01, 0x02], into: log)
        intake.take(Array(repeating: 0x12, count: 1000), into: log)
        #expect(log.appended == 6)
    }
}
