import Foundation
import Testing

extension KernelSuite {
    /// B19: a copy of a blocked program.
    @Suite("B19")
    struct B19CopyTests {
        @Test(arguments: Filesystem.allCases) func aCopyRunsUnderAPathRule(_ filesystem: Filesystem) throws {
            let scratch = try Scratch(filesystem)
            let agent = try AgentUnderTest.blockingProcesses(scratch)
            try FileManager.default.copyItem(atPath: scratch.path("bin/denied"), toPath: scratch.path("work/copy"))
            let marker = scratch.path("work/marker")
            _ = Shell.run(scratch.path("work/copy"), marker)
            #expect(FileManager.default.fileExists(atPath: marker))
            #expect(agent.alerts().isEmpty)
        }
    }
}
