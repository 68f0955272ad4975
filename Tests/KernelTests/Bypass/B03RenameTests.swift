import Foundation
import Testing

extension KernelSuite {
    /// B03: the file, or a directory above it, is renamed.
    @Suite("B03")
    struct B03RenameTests {
        @Test(arguments: Filesystem.allCases) func aRenamedFileIsStillTheObject(_ filesystem: Filesystem) throws {
            let scratch = try Scratch(filesystem)
            let agent = try AgentUnderTest.blockingFiles(scratch, "matchPaths: [{path: \"@/prot/secret\"}]")
            #expect(agent.victim("rename", scratch.path("prot/secret"), scratch.path("work/x")).output == "ok\n")
            agent.expectBlocked(
                agent.victim("read", scratch.path("work/x")), operation: "File", resource: scratch.path("work/x"))
        }

        // An overlay refuses to rename a directory of its lower layer (EXDEV).
        @Test(arguments: [Filesystem.tmpfs, .ext4]) func aFileInARenamedDirectoryIsStillTheObject(
            _ filesystem: Filesystem
        )
            throws
        {
            let scratch = try Scratch(filesystem)
            let agent = try AgentUnderTest.blockingFiles(scratch)
            #expect(agent.victim("rename", scratch.path("prot"), scratch.path("other")).output == "ok\n")
            agent.expectBlocked(
                agent.victim("read", scratch.path("other/secret")), operation: "File",
                resource: scratch.path("other/secret"))
        }
    }
}
