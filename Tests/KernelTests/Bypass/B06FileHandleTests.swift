import Foundation
import Testing

extension KernelSuite {
    /// B06: open_by_handle_at(2).
    @Suite("B06")
    struct B06FileHandleTests {
        // An overlay has no handles unless it is mounted for NFS export.
        @Test(arguments: [Filesystem.tmpfs, .ext4]) func aHandle(_ filesystem: Filesystem) throws {
            let scratch = try Scratch(filesystem)
            let agent = try AgentUnderTest.blockingFiles(scratch, "matchPaths: [{path: \"@/prot/secret\"}]")
            agent.expectBlocked(
                agent.victim("by-handle", scratch.path("prot/secret"), scratch.path("work")), operation: "File",
                resource: scratch.path("prot/secret"))
        }
    }
}
