import Foundation
import Testing

extension KernelSuite {
    @Suite("File rules")
    struct FileRuleTests {
        private func agent(_ rules: String, action: String = "Block", scratch: Scratch) throws -> AgentUnderTest {
            try AgentUnderTest(scratch, policies: ["p.yaml": AgentUnderTest.policy(file: rules, action: action)])
        }
        private static let directory = "matchDirectories: [{dir: \"@/prot/\", recursive: true}]"

        @Test func aBlockedFileIsNotReadAndOthersAre() throws {
            let scratch = try Scratch()
            let agent = try agent("matchPaths: [{path: \"@/prot/secret\"}]", scratch: scratch)
            agent.expectBlocked(
                agent.victim("read", scratch.path("prot/secret")), operation: "File",
                resource: scratch.path("prot/secret"))
            #expect(agent.victim("read", scratch.path("work/plain")).output == "ok PLAIN\n")
            #expect(agent.alerts().count == 1)
            agent.stop()
            #expect(scratch.text("prot/secret") == "SECRET\n")
        }

        @Test(arguments: ["prot/secret", "prot/sub/deep"])
        func aRecursiveDirectoryCoversEveryDepth(file: String) throws {
            let scratch = try Scratch()
            let agent = try agent(Self.directory, scratch: scratch)
            agent.expectBlocked(
                agent.victim("read", scratch.path(file)), operation: "File", resource: scratch.path(file))
        }

        @Test func theDirectoryItselfIsCovered() throws {
            let scratch = try Scratch()
            let agent = try agent(Self.directory, scratch: scratch)
            agent.expectBlocked(
                agent.victim("list", scratch.path("prot")), operation: "File", resource: scratch.path("prot"))
        }

        @Test func aDirectDirectoryLeavesDeeperOnesAlone() throws {
            let scratch = try Scratch()
            let agent = try agent("matchDirectories: [{dir: \"@/prot/\"}]", scratch: scratch)
            #expect(agent.victim("read", scratch.path("prot/sub/deep")).output == "ok SECRET\n")
            agent.expectBlocked(
                agent.victim("read", scratch.path("prot/secret")), operation: "File",
                resource: scratch.path("prot/secret"))
        }

        @Test(arguments: ["write", "append", "readwrite", "truncate-open", "read-truncate", "creat", "openat2-write"])
        func readOnlyPermitsReadingAndNoWayOfWriting(verb: String) throws {
            let scratch = try Scratch()
            let agent = try agent(
                "matchDirectories: [{dir: \"@/prot/\", recursive: true, readOnly: true}]", scratch: scratch)
            #expect(agent.victim("read", scratch.path("prot/secret")).output == "ok SECRET\n")
            agent.expectBlocked(
                agent.victim(verb, scratch.path("prot/secret")), operation: "File",
                resource: scratch.path("prot/secret"))
            agent.stop()
            #expect(scratch.text("prot/secret") == "SECRET\n")
        }

        @Test func aDeniedCreationLeavesAnEmptyFileAndTheStatusSaysSo() throws {
            let scratch = try Scratch()
            let agent = try agent(Self.directory, scratch: scratch)
            agent.expectBlocked(
                agent.victim("create", scratch.path("prot/new")), operation: "File", resource: scratch.path("prot/new"))
            #expect(agent.tool("status").output.contains("a denied O_CREAT leaves an empty file behind"))
            agent.stop()
            #expect(scratch.text("prot/new") == "")
        }

        @Test func anAuditedFileIsReadAndReportedOnce() throws {
            let scratch = try Scratch()
            let agent = try agent("matchPaths: [{path: \"@/work/plain\"}]", action: "Audit", scratch: scratch)
            #expect(agent.victim("read", scratch.path("work/plain")).output == "ok PLAIN\n")
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.count == 1)
            #expect(alerts.first?["Action"] == "Audit")
            #expect(alerts.first?["Result"] == "Passed")
            #expect(alerts.first?["Resource"] == scratch.path("work/plain"))
        }

        @Test func ownerOnlyIsAboutTheCallersFsuid() throws {
            let scratch = try Scratch()
            chown(scratch.path("prot/secret"), 1234, 1234)
            chmod(scratch.path("prot/secret"), 0o644)
            let agent = try agent("matchPaths: [{path: \"@/prot/secret\", ownerOnly: true}]", scratch: scratch)
            #expect(agent.victim("as", "1234", scratch.path("prot/secret")).output == "ok SECRET\n")
            agent.expectBlocked(
                agent.victim("as", "4321", scratch.path("prot/secret")), operation: "File",
                resource: scratch.path("prot/secret"))
        }

        @Test func fromSourceIsAboutTheCallersExecutable() throws {
            let scratch = try Scratch()
            try FileManager.default.copyItem(
                atPath: AgentUnderTest.binaries + "/portcullis-victim", toPath: scratch.path("bin/other"))
            let agent = try agent(
                "matchPaths: [{path: \"@/prot/secret\", fromSource: [{path: \"@/bin/other\"}]}]", scratch: scratch)
            #expect(agent.victim("read", scratch.path("prot/secret")).output == "ok SECRET\n")
            agent.expectBlocked(
                Shell.run(scratch.path("bin/other"), "read", scratch.path("prot/secret")), operation: "File",
                resource: scratch.path("prot/secret"))
            #expect(agent.alerts().first?["ProcessName"] == scratch.path("bin/other"))
        }

        @Test func aPatternCoversWhatItNames() throws {
            let scratch = try Scratch()
            try scratch.write("work/key.pem", "SECRET\n")
            let agent = try agent("matchPatterns: [{pattern: \"@/**/*.pem\"}]", scratch: scratch)
            #expect(agent.victim("read", scratch.path("work/plain")).output == "ok PLAIN\n")
            agent.expectBlocked(
                agent.victim("read", scratch.path("work/key.pem")), operation: "File",
                resource: scratch.path("work/key.pem"))
        }
    }
}
