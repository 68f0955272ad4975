import ControlJSON
import ControlProtocol
import Testing

@Suite struct ControlMessageTests {
    private static let requests: [ControlRequest] = [
        .apply(documents: [], dryRun: true),
        .apply(
            documents: [
                PolicyDocument(name: "a.yaml", text: "a: \"b\\n\"\n\u{1F}\u{7F}\u{2028}\u{1F600}\r\n"),
                PolicyDocument(name: "", text: ""),
            ], dryRun: false),
        .delete(kind: "KubeArmorPolicy", namespace: "default", name: "n\nm"),
        .policies, .status,
        .logs(filters: [:]), .logs(filters: ["Result": "denied", "": "\0"]),
        .unlock, .filters(documents: []),
        .supervise(process: .max, listener: 3, documents: [PolicyDocument(name: "a", text: "b: c\n")]),
    ]

    private static let responses: [ControlResponse] = [
        .done(messages: []), .failed(messages: ["a\nb", "c"]), .notPermitted(message: "no"),
        .policies([
            PolicySummary(
                kind: "KubeArmorHostPolicy", namespace: "", name: "x", action: "Block", rules: .max, origin: "applied",
                selected: true)
        ]),
        .status(
            AgentStatus(
                version: "1", host: "h", generation: .max, processes: ["worker": 7], counters: ["blocked": .max],
                failures: [FailureStatus(name: "f", verdict: "deny", count: .max)],
                rules: [
                    RuleCoverage(
                        policy: "p", category: "file", subject: "/etc/\n", action: "Block", position: "f:1:2",
                        enforcedBy: ["fanotify"], gaps: ["rename"])
                ], gaps: ["g"])),
        .filters(
            TreeFilters(guardProgram: [0, 255], treeProgram: [], droppedCapabilities: .max, gaps: ["a\nb"])),
        .alert(json: #"{"A":"\n/\"}"#), .lost(count: .max),
    ]

    @Test(arguments: requests)
    func aRequestSurvivesAsOneLine(_ request: ControlRequest) throws {
        #expect(try roundTrip(request) == request)
    }

    @Test(arguments: responses)
    func aResponseSurvivesAsOneLine(_ response: ControlResponse) throws {
        #expect(try roundTrip(response) == response)
    }

    /// Everything goes through the framer, as on the socket.
    private func roundTrip<Message: Codable & Equatable>(_ message: Message) throws -> Message {
        var framer = LineFramer()
        let lines = try framer.append(try ControlCoding.encode(message))
        return try ControlCoding.decode(Message.self, try #require(lines.count == 1 ? lines.first : nil))
    }

    @Test(arguments: [
        "", "null", "{}", "[]", "0", #""status""#, #"{"status":null}"#, #"{"status":{},"unlock":{}}"#,
        #"{"reboot":{}}"#, #"{"apply":{"dryRun":true}}"#, #"{"delete":{"kind":1,"namespace":"","name":""}}"#,
        #"{"logs":{"filters":["a"]}}"#, #"{"apply":{"documents":[{"name":"a"}],"dryRun":false}}"#,
    ])
    func whatIsNoRequestIsRefused(_ line: String) {
        #expect(throws: (any Error).self) { try ControlCoding.decode(ControlRequest.self, Array(line.utf8)) }
    }

    /// Damaged requests are refused, or are requests of which a second trip makes the same.
    @Test func damagedRequestsNeverDoHarm() throws {
        let originals = try Self.requests.map { Array(try ControlCoding.encode($0).dropLast()) }
        var random = SplitMix(state: 20_261_123)
        var refused = 0
        for round in 0..<10_000 {
            var line = originals[round % originals.count]
            for _ in 0...Int.random(in: 0...3, using: &random) {
                let place = Int.random(in: 0...line.count, using: &random)
                switch Int.random(in: 0...2, using: &random) {
                case 0: line.insert(UInt8.random(in: 0...255, using: &random), at: place)
                case 1: line.removeLast(line.count - place)
                default: if place < line.count { line[place] ^= 1 << UInt8.random(in: 0...7, using: &random) }
                }
            }
            do {
                let request = try ControlCoding.decode(ControlRequest.self, line)
                #expect(try roundTrip(request) == request)
            } catch is DecodingError {
                refused += 1
            }
        }
        #expect(refused > 1000)
    }

    @Test func deepNestingIsRefused() {
        let line = [UInt8](repeating: UInt8(ascii: "["), count: LineFramer.defaultLimit)
        #expect(throws: (any Error).self) { try ControlCoding.decode(ControlRequest.self, line) }
    }
}

/// SplitMix64: the same sequence on every run, so that a failure can be repeated.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
