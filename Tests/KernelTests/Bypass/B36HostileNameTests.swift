import Foundation
import Testing

extension KernelSuite {
    /// B36: names made of control characters.
    @Suite("B36")
    struct B36HostileNameTests {
        @Test(arguments: Filesystem.allCases) func aNameMadeOfControlCharactersMakesOneWellFormedAlert(
            _ filesystem: Filesystem
        ) throws {
            let scratch = try Scratch(filesystem)
            _ = Shell.run("bash", "-c", "printf 'SECRET\\n' > $'\(scratch.root)/prot/x\\n{\"Action\":\"Allow\"}\\e[2J'")
            let agent = try AgentUnderTest.blockingFiles(scratch)
            let result = Shell.run(
                "bash", "-c",
                "exec '\(AgentUnderTest.binaries)/portcullis-victim' read $'\(scratch.root)/prot/x\\n{\"Action\":\"Allow\"}\\e[2J'"
            )
            agent.expectBlocked(result, operation: "File", resource: scratch.path("prot/x"))
            let text = try String(contentsOfFile: agent.alertsPath, encoding: .utf8)
            #expect(text.split(separator: "\n").count == 1)
            #expect(!text.contains("\u{1b}"))
        }
    }
}
