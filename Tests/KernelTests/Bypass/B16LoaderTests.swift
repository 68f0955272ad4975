import Foundation
import Testing

extension KernelSuite {
    /// B16: the dynamic loader as a launcher.
    @Suite("B16")
    struct B16LoaderTests {
        @Test(arguments: Filesystem.allCases) func theLoaderRunsNothingThatIsBlocked(_ filesystem: Filesystem) throws {
            let scratch = try Scratch(filesystem)
            let marker = scratch.path("work/marker")
            let agent = try AgentUnderTest.blockingProcesses(scratch)
            let loader = "/lib64/ld-linux-x86-64.so.2"
            let result = Shell.run(loader, scratch.path("bin/denied"), marker)
            #expect(result.status != 0)
            #expect(result.error.contains("Operation not permitted"), "\(result)")
            #expect(!FileManager.default.fileExists(atPath: marker))
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.count == 1)
            #expect(alerts.first?["PolicyName"] == "p")
            #expect(alerts.first?["Operation"] == "Process")
            #expect(Shell.run(loader, scratch.path("bin/allowed"), marker).status == 0)
            #expect(FileManager.default.fileExists(atPath: marker))
        }
    }
}
