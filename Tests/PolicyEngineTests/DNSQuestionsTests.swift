import Foundation
import PolicyModel
import Testing

@testable import PolicyEngine

/// Messages as resolvers send them, and as nobody should.
@Suite("DNS questions")
struct DNSQuestionsTests {
    /// A name on the wire.
    private static func wire(_ name: String) -> [UInt8] {
        name.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
    }

    /// A message with a question for each name: type A, class IN.
    static func query(_ names: [String], flags: UInt8 = 1, tail: [UInt8] = []) -> [UInt8] {
        [0x12, 0x34, flags, 0, 0, UInt8(names.count), 0, 0, 0, 0, 0, 0] + names.flatMap { wire($0) + [0, 1, 0, 1] }
            + tail
    }

    private static func names(_ message: [UInt8]) -> (names: [String], isWhole: Bool) {
        let result = message.withUnsafeBytes { DNSExercise.read($0) }
        return (result.names.map { String(decoding: $0, as: UTF8.self) }, result.isWhole)
    }

    @Test func everyQuestionIsRead() {
        #expect(Self.names(Self.query(["google.com"])) == (["google.com"], true))
        #expect(Self.names(Self.query(["www.GooGLE.Com", "evil.test"])) == (["www.google.com", "evil.test"], true))
        #expect(Self.names(Self.query([])) == ([], true))
        #expect(Self.names(Self.query([""])) == (["."], true))
        // EDNS, an additional record behind the question, is not one.
        let options: [UInt8] = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]
        #expect(Self.names(Self.query(["google.com"], tail: options)) == (["google.com"], true))
        let longest = [String](repeating: String(repeating: "a", count: 63), count: 3).joined(separator: ".") + "."
        #expect(
            Self.names(Self.query([longest + String(repeating: "b", count: 61)])).names.first?.utf8.count == 253)
        #expect(!Self.names(Self.query([longest + String(repeating: "b", count: 62)])).isWhole)
    }

    @Test func theTypeIsRead() {
        var room = [UInt8](repeating: 0, count: DNSQuestions.longestName)
        let step = Self.query(["a.test"]).replacing(21, by: 28).withUnsafeBytes { message in
            var questions = DNSQuestions(message)
            return room.withUnsafeMutableBytes { questions?.next(into: $0) }
        }
        #expect(step == .name(length: 6, type: 28))
    }

    @Test func anAnswerIsNoQuestion() {
        #expect(Self.query(["google.com"], flags: 0x81).withUnsafeBytes { DNSQuestions($0) } == nil)
        #expect([UInt8](repeating: 0, count: 11).withUnsafeBytes { DNSQuestions($0) } == nil)
    }

    /// A name that points elsewhere in the message is the name that servers read there.
    @Test func pointersAreFollowed() {
        var message = Self.query(["www.google.com"])
        message[5] = 2
        // Where "google" begins.
        message += [4] + Array("mail".utf8) + [0xC0, 16, 0, 1, 0, 1]
        #expect(Self.names(message) == (["www.google.com", "mail.google.com"], true))
        // Forward, to the tail of the message; and round in circles.
        let forward: [UInt8] = Array(Self.query([]).prefix(12)) + [0xC0, 18, 0, 1, 0, 1] + Self.wire("evil.test")
        #expect(Self.names(forward.replacing(5, by: 1)) == (["evil.test"], true))
        let circle: [UInt8] = Array(Self.query([]).prefix(12)) + [0xC0, 12, 0, 1, 0, 1]
        #expect(Self.names(circle.replacing(5, by: 1)) == ([], false))
        let slow: [UInt8] = Array(Self.query([]).prefix(12)) + [1, 0x61, 0xC0, 12, 0, 1, 0, 1]
        #expect(Self.names(slow.replacing(5, by: 1)) == ([], false))
    }

    /// A dot in a label makes no further label, and nothing of a name moves a terminal.
    @Test func whatNamesDoNotHaveIsWrittenAsNumbers() {
        let message: [UInt8] =
            Array(Self.query([]).prefix(12)).replacing(5, by: 1) + [11] + Array("evil.google".utf8) + [
                4, 27, 10, 0, 127,
            ]
            + [3] + Array("com".utf8) + [0, 0, 1, 0, 1]
        #expect(Self.names(message) == (["evil\\046google.\\027\\010\\000\\127.com"], true))
    }

    @Test func everyTruncationIsTold() {
        let message = Self.query(["www.google.com", "evil.test"])
        for length in 12..<message.count {
            let result = Self.names(Array(message.prefix(length)))
            #expect(!result.isWhole && result.names.count == (length >= 32 ? 1 : 0))
        }
    }

    @Test func aStreamHasALengthBeforeEachMessage() {
        let first = Self.query(["google.com"])
        let second = Self.query(["evil.test"])
        let stream = [0, UInt8(first.count)] + first + [0, UInt8(second.count)] + second.prefix(20)
        var found: [([String], Bool)] = []
        stream.withUnsafeBytes { bytes in
            var offset = 0
            while let message = DNSQuestions.message(in: bytes, at: &offset) {
                found.append(Self.names(Array(message)))
            }
            #expect(offset == bytes.count)
        }
        #expect(found.map(\.0) == [["google.com"], []] && found.map(\.1) == [true, false])
    }

    /// What a rule makes of the names of a message.
    @Test func theEngineKnowsTheNamesThatAreRead() throws {
        let position = SourcePosition(file: "t", line: 1, column: 1)
        var policy = Policy(kind: .host, name: "p", position: position)
        policy.dns = [DNSRule(domain: "google.com", attributes: RuleAttributes(action: .block), position: position)]
        let compiled = try SnapshotCompiler().compile(policies: [policy], postures: Postures(), generation: 1)
        try compiled.bytes.withUnsafeBytes { bytes in
            let snapshot = try Snapshot(validating: bytes)
            func effect(_ name: String) -> Effect {
                let read = Self.names(Self.query([name])).names
                return Array((read.first ?? "").utf8).withUnsafeBytes {
                    snapshot.dnsVerdict(name: $0, source: nil).effect
                }
            }
            #expect(effect("GOOGLE.com") == .block && effect("a.b.Google.Com") == .block)
            #expect(effect("notgoogle.com") == .allow && effect("com") == .allow)
        }
    }

    // MARK: - Fuzzing

    private static let folder: URL = {
        var url = URL(fileURLWithPath: #filePath)
        while url.path != "/", !FileManager.default.fileExists(atPath: url.appendingPathComponent("Package.swift").path)
        {
            url.deleteLastPathComponent()
        }
        return url.appendingPathComponent("FuzzTesting/DNSMessage")
    }()

    @Test func fuzzRegression() throws {
        for part in ["Corpus", "FailCases"] {
            let folder = Self.folder.appendingPathComponent(part)
            let inputs = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0 != ".gitignore" }
            if part == "Corpus" { #expect(inputs.count >= 4) }
            for name in inputs {
                let bytes = [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
                #expect(DNSExercise.violation(bytes) == nil, "\(name)")
            }
        }
    }

    @Test func anyMessageIsReadToItsEnd() {
        var random = SplitMix(state: 4)
        let samples = [
            Self.query(["www.google.com", "evil.test"]), [0, 28] + Self.query(["google.com"]),
            Array(Self.query([]).prefix(12)).replacing(5, by: 3) + [0xC0, 18, 0, 1, 0, 1] + Self.wire("evil.test"),
        ]
        for sample in samples {
            for _ in 0..<20_000 {
                var bytes = sample
                for _ in 0...random.next(4) {
                    bytes[random.next(bytes.count)] = [0, 1, 3, 0xC0, UInt8(random.next(256))][random.next(5)]
                }
                bytes = Array(bytes.prefix(random.next(bytes.count + 1)))
                if let violation = DNSExercise.violation(bytes) {
                    Issue.record("\(violation): \(bytes)")
                    return
                }
            }
        }
    }
}

/// Random numbers that are the same in every run.
private struct SplitMix {
    var state: UInt64

    mutating func next(_ bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return Int((value ^ value >> 31) % UInt64(bound))
    }
}

extension [UInt8] {
    fileprivate func replacing(_ index: Int, by byte: UInt8) -> [UInt8] {
        var result = self
        result[index] = byte
        return result
    }
}
