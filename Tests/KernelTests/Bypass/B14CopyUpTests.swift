import Foundation
import Testing

extension KernelSuite {
    /// B14: an overlay gives a file another inode when it is first written, and again when it is made anew.
    @Suite("B14")
    struct B14CopyUpTests {
        @Test(arguments: Filesystem.allCases) func theRuleHoldsForEveryInodeUnderItsName(_ filesystem: Filesystem)
            throws
        {
            let scratch = try Scratch(filesystem)
            let reader = scratch.path("bin/reader")
            try FileManager.default.copyItem(atPath: scratch.binaries + "/portcullis-victim", toPath: reader)
            let secret = scratch.path("prot/secret")
            let agent = try AgentUnderTest.blockingFiles(
                scratch, "matchPaths: [{path: \"@/prot/secret\", fromSource: [{path: \"@/bin/reader\"}]}]")
            agent.expectBlocked(agent.run([reader, "read", secret]), operation: "File", resource: secret)
            #expect(agent.victim("append", secret).output == "ok\n")
            agent.expectBlocked(agent.run([reader, "read", secret]), operation: "File", resource: secret, alerts: 2)
            try FileManager.default.removeItem(atPath: secret)
            #expect(agent.victim("create", secret).output == "ok\n")
            agent.expectBlocked(agent.run([reader, "read", secret]), operation: "File", resource: secret, alerts: 3)
            #expect(scratch.text("prot/secret") == "OVERWRITTEN\n")
        }

        @Test func theRuleHoldsFromTheFirstOpenAfterTheCopy() throws {
            let scratch = try Scratch(.overlay)
            let agent = try AgentUnderTest.blockingFiles(
                scratch, "matchPaths: [{path: \"@/prot/secret\", readOnly: true}]")
            let secret = scratch.path("prot/secret")
            #expect(agent.victim("read", secret).output == "ok SECRET\n")
            // A change of mode copies the file up without opening it.
            chmod(secret, 0o640)
            agent.expectBlocked(agent.victim("write", secret), operation: "File", resource: secret)
            #expect(agent.victim("read", secret).output == "ok SECRET\n")
        }
    }
}
