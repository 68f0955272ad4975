import Foundation
import Testing

extension KernelSuite {
    /// What cannot start says why in one line and leaves nothing half done.
    @Suite("Start")
    struct StartTests {
        private func run(_ scratch: Scratch, _ options: String..., prefix: [String] = []) -> Shell.Result {
            Shell.run(
                prefix + [
                    "timeout", "60", AgentUnderTest.binaries + "/portcullisd", "--run-directory",
                    scratch.outside + "/run", "--state-directory", scratch.outside + "/state",
                ] + options)
        }

        @Test func aBadPolicyIsNamedWithItsPlace() throws {
            let scratch = try Scratch()
            try FileManager.default.createDirectory(
                atPath: scratch.outside + "/policies", withIntermediateDirectories: true)
            try AgentUnderTest.write(
                AgentUnderTest.policy(file: "matchPaths: [{pth: \"@/x\"}]"), "bad.yaml", scratch)
            let result = run(scratch, "--policies", scratch.outside + "/policies")
            #expect(result.status == 1)
            #expect(
                result.error.contains(
                    "bad.yaml:9:24: unknown field 'pth' in spec.file.matchPaths[0] (did you mean 'path'?)"),
                "\(result.error)")
            #expect(!FileManager.default.fileExists(atPath: scratch.outside + "/run/agent.sock"))
        }

        @Test(arguments: ["fifo", "symlink", "large", "device"])
        func b34APolicyFileThatIsNone(kind: String) throws {
            let scratch = try Scratch()
            let folder = scratch.outside + "/policies"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let path = folder + "/x.yaml"
            switch kind {
            case "fifo": mkfifo(path, 0o600)
            case "symlink": symlink("/etc/passwd", path)
            case "large":
                _ = FileManager.default.createFile(atPath: path, contents: Data(repeating: 0x20, count: 2 << 20))
            default: symlink("/dev/zero", path)
            }
            let result = run(scratch, "--policies", folder)
            #expect(result.status == 1)
            #expect(result.error.contains("x.yaml:1:1: "), "\(result.error)")
        }

        @Test func aMissingFolder() throws {
            let scratch = try Scratch()
            let result = run(scratch, "--policies", "/nonexistent/policies")
            #expect(result.status == 1)
            #expect(result.error == "portcullisd: /nonexistent/policies: No such file or directory\n")
        }

        @Test func withoutRights() throws {
            let scratch = try Scratch()
            let result = run(scratch, prefix: ["setpriv", "--reuid", "65534", "--clear-groups"])
            #expect(result.status == 1)
            #expect(
                result.error
                    == "portcullisd: CAP_SYS_ADMIN is needed and missing: run as root with that capability, or with --rootless as another user\n"
            )
        }

        @Test func aSecondAgentOnTheSameDirectory() throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest(scratch, policies: [:])
            let result = run(scratch)
            #expect(result.status == 1)
            #expect(result.error.hasPrefix("portcullisd: another agent is already running"))
            #expect(agent.tool("status").status == 0)
        }

        @Test func wrongUsage() throws {
            let scratch = try Scratch()
            #expect(run(scratch, "--colour").status == 2)
        }

        @Test func appliedPoliciesSurviveARestartAndCanBeDeleted() throws {
            let scratch = try Scratch()
            let text = AgentUnderTest.policy("kept", file: "matchPaths: [{path: \"\(scratch.path("prot/secret"))\"}]")
            do {
                let agent = try AgentUnderTest(scratch, policies: [:])
                #expect(agent.victim("read", scratch.path("prot/secret")).output == "ok SECRET\n")
                let applied = agent.tool("apply", "-f", "-", input: text)
                #expect(applied.status == 0, "\(applied)")
                #expect(agent.victim("read", scratch.path("prot/secret")).output.contains("EPERM"))
                agent.stop()
            }
            let agent = try AgentUnderTest(scratch, policies: [:])
            #expect(agent.victim("read", scratch.path("prot/secret")).output.contains("EPERM"))
            #expect(agent.tool("get", "policies").output.contains("kept"))
            let deleted = agent.tool("delete", "hsp", "kept")
            #expect(deleted.status == 0, "\(deleted)")
            #expect(agent.victim("read", scratch.path("prot/secret")).output == "ok SECRET\n")
        }

        @Test func unlockEndsEnforcement() throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest(
                scratch, policies: ["p.yaml": AgentUnderTest.policy(file: "matchPaths: [{path: \"@/prot/secret\"}]")])
            #expect(agent.victim("read", scratch.path("prot/secret")).output.contains("EPERM"))
            let result = agent.tool("unlock")
            #expect(result.status == 0, "\(result)")
            agent.stop()
            #expect(agent.victim("read", scratch.path("prot/secret")).output == "ok SECRET\n")
        }
    }
}
