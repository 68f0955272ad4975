import Foundation
import Testing

extension KernelSuite {
    /// Process rules.
    @Suite("Process rules")
    struct ProcessRuleTests {
        @Test func aBlockedProgramDoesNotRunAndOthersDo() throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest.blockingProcesses(scratch)
            let marker = scratch.path("work/marker")
            agent.expectBlocked(
                agent.victim("exec", scratch.path("bin/denied"), marker), operation: "Process",
                resource: scratch.path("bin/denied"))
            #expect(!FileManager.default.fileExists(atPath: marker))
            let alert = agent.alerts().first
            #expect(alert?["ProcessName"] == scratch.path("bin/denied"))
            #expect(alert?["Source"] == alert?["ParentProcessName"])
            #expect(alert?["Resource"] == "\(scratch.path("bin/denied")) \(marker)")
            _ = agent.victim("exec", scratch.path("bin/allowed"), marker)
            #expect(FileManager.default.fileExists(atPath: marker))
            #expect(agent.alerts().count == 1)
        }

        @Test func aShellsLookAtWhatItCouldNotRunIsNoSecondAlert() throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest.blockingProcesses(scratch)
            let result = Shell.run("bash", "-c", scratch.path("bin/denied") + " true")
            #expect(result.status == 126)
            #expect(result.error.contains("Operation not permitted"))
            #expect(agent.alerts(atLeast: 1).count == 1)
        }

        @Test func anAuditedProgramThatAShellStartsIsReportedOnce() throws {
            let scratch = try Scratch()
            let script = scratch.path("bin/script")
            try scratch.write("bin/script", "#!/bin/bash\necho ran\n")
            chmod(script, 0o755)
            let agent = try AgentUnderTest(
                scratch,
                policies: [
                    "p.yaml": AgentUnderTest.policy(
                        process: "matchPaths: [{path: \"@/bin/denied\"}, {path: \"@/bin/script\"}]", action: "Audit")
                ])
            #expect(Shell.run("bash", "-c", "\(scratch.path("bin/denied")) /dev/null; true").status == 0)
            #expect(agent.alerts(atLeast: 1).map { $0["Resource"] } == ["\(scratch.path("bin/denied")) /dev/null"])
            // Run by the kernel, and then read by its interpreter; and read by one that is told to.
            #expect(Shell.run("bash", "-c", "\(script); true").output == "ran\n")
            #expect(agent.alerts(atLeast: 2).count == 2)
            #expect(Shell.run("bash", script).output == "ran\n")
            #expect(agent.alerts(atLeast: 3).count == 3)
        }

        @Test func fromSourceIsAboutTheParentsExecutable() throws {
            let scratch = try Scratch()
            try FileManager.default.copyItem(
                atPath: AgentUnderTest.binaries + "/portcullis-victim", toPath: scratch.path("bin/parent"))
            let agent = try AgentUnderTest.blockingProcesses(
                scratch, "matchPaths: [{path: \"@/bin/denied\", fromSource: [{path: \"@/bin/parent\"}]}]")
            let marker = scratch.path("work/marker")
            _ = agent.victim("fork-exec", scratch.path("bin/denied"), marker)
            #expect(FileManager.default.fileExists(atPath: marker))
            #expect(agent.alerts().isEmpty)
            try FileManager.default.removeItem(atPath: marker)
            agent.expectBlocked(
                Shell.run(scratch.path("bin/parent"), "fork-exec", scratch.path("bin/denied"), marker),
                operation: "Process", resource: scratch.path("bin/denied"))
            #expect(!FileManager.default.fileExists(atPath: marker))
            #expect(agent.alerts().first?["ParentProcessName"] == scratch.path("bin/parent"))
        }

        @Test func aDirectoryOfPrograms() throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest.blockingProcesses(
                scratch, "matchDirectories: [{dir: \"@/bin/\", recursive: true}]")
            agent.expectBlocked(
                agent.victim("exec", scratch.path("bin/allowed")), operation: "Process",
                resource: scratch.path("bin/allowed"))
        }
    }
}
