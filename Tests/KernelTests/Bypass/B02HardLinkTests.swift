import Foundation
import Testing

extension KernelSuite {
    /// B02: another name of the same inode.
    @Suite("B02")
    struct B02HardLinkTests {
        @Test(arguments: Filesystem.allCases) func aHardLinkMadeBeforeTheRule(_ filesystem: Filesystem) throws {
            let scratch = try Scratch(filesystem)
            link(scratch.path("prot/secret"), scratch.path("work/h"))
            let agent = try AgentUnderTest.blockingFiles(scratch, "matchPaths: [{path: \"@/prot/secret\"}]")
            agent.expectBlocked(
                agent.victim("read", scratch.path("work/h")), operation: "File", resource: scratch.path("work/h"))
        }

        @Test(arguments: Filesystem.allCases) func aHardLinkMadeAfterTheRule(_ filesystem: Filesystem) throws {
            let scratch = try Scratch(filesystem)
            let agent = try AgentUnderTest.blockingFiles(scratch, "matchPaths: [{path: \"@/prot/secret\"}]")
            #expect(agent.victim("link", scratch.path("prot/secret"), scratch.path("work/h")).output == "ok\n")
            agent.expectBlocked(
                agent.victim("read", scratch.path("work/h")), operation: "File", resource: scratch.path("work/h"))
            #expect(agent.tool("status").output.contains("are held only in supervised trees"))
        }

        @Test(arguments: Filesystem.allCases) func aLinkedProgramIsStillTheObject(_ filesystem: Filesystem) throws {
            let scratch = try Scratch(filesystem)
            let agent = try AgentUnderTest.blockingProcesses(scratch)
            link(scratch.path("bin/denied"), scratch.path("work/h"))
            agent.expectBlocked(
                agent.victim("exec", scratch.path("work/h"), "true"), operation: "Process",
                resource: scratch.path("work/h"))
        }
    }
}
