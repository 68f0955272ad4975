import Foundation
import Testing

extension KernelSuite {
    /// B12: somebody who may open the file passes the descriptor to somebody who may not.
    @Suite("B12")
    struct B12PassedDescriptorTests {
        /// `bin/reader` may not; the victim opens the file and becomes `bin/reader` with the descriptor.
        private func start(_ scratch: Scratch, options: [String]) throws -> AgentUnderTest {
            try FileManager.default.copyItem(
                atPath: scratch.binaries + "/portcullis-victim", toPath: scratch.path("bin/reader"))
            let rule = "matchPaths: [{path: \"@/prot/secret\", fromSource: [{path: \"@/bin/reader\"}]}]"
            return try AgentUnderTest(
                scratch, policies: ["p.yaml": AgentUnderTest.policy(file: rule)], options: options)
        }

        @Test(arguments: Filesystem.allCases) func readsAreDecidedByWhoReads(_ filesystem: Filesystem) throws {
            let scratch = try Scratch(filesystem)
            let agent = try start(scratch, options: ["--access-review"])
            let secret = scratch.path("prot/secret")
            #expect(agent.victim("read", secret).output == "ok SECRET\n")
            agent.expectBlocked(
                agent.victim("pass", secret, scratch.path("bin/reader")), operation: "File", resource: secret)
            let alert = agent.alerts().first
            #expect(alert?["ProcessName"] == scratch.path("bin/reader"))
            #expect(alert?["Data"] == "lsm=FILE_PERMISSION")
        }

        @Test func withoutReviewTheOpenerDecided() throws {
            let scratch = try Scratch()
            let agent = try start(scratch, options: [])
            #expect(
                agent.victim("pass", scratch.path("prot/secret"), scratch.path("bin/reader")).output == "ok SECRET\n")
            #expect(agent.alerts().isEmpty)
        }
    }
}
