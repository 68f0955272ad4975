import Foundation
import Testing

extension KernelSuite {
    /// B22: a filesystem that is mounted later.
    @Suite("B22")
    struct B22FreshMountTests {
        @Test(arguments: Filesystem.allCases) func aFilesystemMountedLaterIsMarked(_ filesystem: Filesystem) throws {
            let scratch = try Scratch(filesystem)
            try FileManager.default.createDirectory(atPath: scratch.path("mnt"), withIntermediateDirectories: true)
            let agent = try AgentUnderTest(
                scratch,
                policies: [
                    "p.yaml": AgentUnderTest.policy(file: "matchDirectories: [{dir: \"@/mnt/\", recursive: true}]")
                ])
            try Filesystem.mountTmpfs(at: scratch.path("mnt"))
            defer { _ = Shell.run("umount", "-l", scratch.path("mnt")) }
            // Until the mount is noticed a file can be made in it; then none can.
            var result = agent.victim("create", scratch.path("mnt/file0"))
            let end = Date().addingTimeInterval(Effort.patience(60))
            var tries = 0
            while result.output.hasPrefix("ok") && Date() < end {
                tries += 1
                result = agent.victim("create", scratch.path("mnt/file\(tries)"))
            }
            #expect(result.output.contains("EPERM"))
            #expect(agent.alerts(atLeast: 1).first?["Resource"] == scratch.path("mnt/file\(tries)"))
        }
    }
}
