import Foundation
import Testing

extension KernelSuite {
    /// B01: symlinks to a protected object, and in the policy's own path.
    @Suite("B01")
    struct B01SymlinkTests {
        @Test(arguments: Filesystem.allCases) func symlinksLeadToTheObject(_ filesystem: Filesystem) throws {
            let scratch = try Scratch(filesystem)
            let files = FileManager.default
            try files.createSymbolicLink(
                atPath: scratch.path("work/s"), withDestinationPath: scratch.path("prot/secret"))
            try files.createSymbolicLink(atPath: scratch.path("work/d"), withDestinationPath: "../prot")
            try files.createSymbolicLink(
                atPath: scratch.path("work/l0"), withDestinationPath: scratch.path("prot/secret"))
            for number in 1...30 {
                try files.createSymbolicLink(
                    atPath: scratch.path("work/l\(number)"), withDestinationPath: "l\(number - 1)")
            }
            let agent = try AgentUnderTest.blockingFiles(scratch)
            for (count, name) in ["work/s", "work/d/secret", "work/l30"].enumerated() {
                agent.expectBlocked(
                    agent.victim("read", scratch.path(name)), operation: "File", resource: scratch.path("prot/secret"),
                    alerts: count + 1)
            }
        }

        @Test(arguments: Filesystem.allCases) func aSymlinkInThePolicysOwnPath(_ filesystem: Filesystem) throws {
            let scratch = try Scratch(filesystem)
            try FileManager.default.createSymbolicLink(atPath: scratch.path("alias"), withDestinationPath: "prot")
            let agent = try AgentUnderTest.blockingFiles(scratch, "matchPaths: [{path: \"@/alias/secret\"}]")
            agent.expectBlocked(
                agent.victim("read", scratch.path("prot/secret")), operation: "File",
                resource: scratch.path("prot/secret"))
        }
    }
}
