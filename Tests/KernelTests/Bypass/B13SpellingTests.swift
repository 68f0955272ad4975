import Foundation
import Testing

extension KernelSuite {
    /// B13: other spellings of a path, and names that only look the same.
    @Suite("B13")
    struct B13SpellingTests {
        @Test(
            arguments: Filesystem.allCases,
            ["//prot/./secret", "/work/../prot/secret", "/prot/sub/../secret", "/./prot//secret"])
        func otherSpellings(_ filesystem: Filesystem, spelling: String) throws {
            let scratch = try Scratch(filesystem)
            let agent = try AgentUnderTest.blockingFiles(scratch)
            agent.expectBlocked(
                agent.victim("read", scratch.root + spelling), operation: "File", resource: scratch.path("prot/secret"))
        }

        @Test(arguments: Filesystem.allCases) func twinsInUnicodeAreTwoFiles(_ filesystem: Filesystem) throws {
            let scratch = try Scratch(filesystem)
            // Written by a shell: Foundation would make the two names one.
            for name in ["caf\\xc3\\xa9", "cafe\\xcc\\x81"] {
                _ = Shell.run("bash", "-c", "printf 'SECRET\\n' > $'\(scratch.root)/work/\(name)'")
            }
            let agent = try AgentUnderTest.blockingFiles(scratch, "matchPaths: [{path: \"@/work/caf\u{e9}\"}]")
            func read(_ name: String) -> Shell.Result {
                Shell.run(
                    "bash", "-c",
                    "exec '\(AgentUnderTest.binaries)/portcullis-victim' read $'\(scratch.root)/work/\(name)'")
            }
            #expect(read("cafe\\xcc\\x81").output == "ok SECRET\n")
            agent.expectBlocked(read("caf\\xc3\\xa9"), operation: "File", resource: scratch.path("work/caf"))
        }

        @Test(arguments: Filesystem.allCases) func aNameThatEndsInDeletedIsAName(_ filesystem: Filesystem) throws {
            let scratch = try Scratch(filesystem)
            try scratch.write("prot/secret (deleted)", "PLAIN\n")
            let agent = try AgentUnderTest.blockingFiles(scratch, "matchPaths: [{path: \"@/prot/secret\"}]")
            #expect(agent.victim("read", scratch.path("prot/secret (deleted)")).output == "ok PLAIN\n")
            #expect(agent.alerts().isEmpty)
        }
    }
}
