import Foundation
import Testing

extension KernelSuite {
    /// B04: the object under another name, in a mount namespace of the attacker's own.
    @Suite("B04")
    struct B04BindMountTests {
        @Test(arguments: Filesystem.allCases) func aBindMountInAPrivateNamespace(_ filesystem: Filesystem) throws {
            let scratch = try Scratch(filesystem)
            let agent = try AgentUnderTest.blockingFiles(scratch)
            agent.expectBlocked(
                agent.victim("bind", scratch.path("prot"), scratch.path("work"), scratch.path("work/secret")),
                operation: "File", resource: scratch.path("prot/secret"))
        }
    }
}
