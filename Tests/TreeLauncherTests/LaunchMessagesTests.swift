import ClientSupport
import ControlJSON
import ControlProtocol
import Testing

@testable import TreeLauncher

/// The launcher's own JSON against that of everybody else.
@Suite("Messages of a launch")
struct LaunchMessagesTests {
    private let documents = [
        PolicyDocument(name: "a \"b\"/c.yaml", text: "kind: x\n\tpath: \\é\u{1}😀\n"),
        PolicyDocument(name: "", text: ""),
    ]

    @Test func requestsAreThoseOfTheProtocol() throws {
        func read(_ line: [UInt8]) throws -> ControlRequest {
            #expect(line.last == UInt8(ascii: "\n") && line.dropLast().firstIndex(of: UInt8(ascii: "\n")) == nil)
            return try ControlCoding.decode(ControlRequest.self, line)
        }
        #expect(try read(LaunchMessages.filters(documents)) == .filters(documents: documents))
        #expect(try read(LaunchMessages.filters([])) == .filters(documents: []))
        #expect(
            try read(LaunchMessages.supervise(process: 4711, listener: 5, documents))
                == .supervise(process: 4711, listener: 5, documents: documents))
    }

    @Test func answersAreReadAsTheyWereMeant() throws {
        let filters = TreeFilters(
            guardProgram: Array(0...255), treeProgram: [], droppedCapabilities: .max, changesArePerformed: true,
            gaps: ["web: \"file\": é"])
        #expect(try LaunchMessages.filters(try ControlCoding.encode(ControlResponse.filters(filters))) == filters)
        #expect(try LaunchMessages.acceptance(try ControlCoding.encode(ControlResponse.done(messages: ["x"]))) == true)
    }

    @Test func refusalsAreThrown() throws {
        let failed = try ControlCoding.encode(ControlResponse.failed(messages: ["a", "b\nc"]))
        #expect(throws: ToolFailure(["a", "b\nc"])) { try LaunchMessages.filters(failed) }
        #expect(throws: ToolFailure(["a", "b\nc"])) { try LaunchMessages.acceptance(failed) }
        let refused = try ControlCoding.encode(ControlResponse.notPermitted(message: "no"))
        #expect(throws: ToolFailure("no", code: .notPermitted)) { try LaunchMessages.acceptance(refused) }
    }

    @Test func otherAnswersAreNone() throws {
        let policies = try ControlCoding.encode(ControlResponse.policies([]))
        #expect(try LaunchMessages.filters(policies) == nil)
        #expect(try LaunchMessages.acceptance(policies) == nil)
        #expect(try LaunchMessages.filters(try ControlCoding.encode(ControlResponse.done(messages: []))) == nil)
        #expect(try LaunchMessages.filters(Array(#"{"filters":{"_0":{"guardProgram":[256]}}}"#.utf8)) == nil)
    }
}
