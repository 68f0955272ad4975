import Foundation
import Testing

extension KernelSuite {
    /// B17: scripts, however they are run.
    @Suite("B17")
    struct B17InterpreterTests {
        @Test(arguments: ["direct", "sh", "python3"])
        func aScriptIsBlockedHoweverItIsRun(way: String) throws {
            let scratch = try Scratch()
            let marker = scratch.path("work/marker")
            let interpreter = way == "python3" ? "python3" : "sh"
            let body = way == "python3" ? "open('\(marker)', 'w')\n" : "echo x > \(marker)\n"
            try scratch.write("bin/script", "#!/usr/bin/env \(interpreter)\n" + body)
            chmod(scratch.path("bin/script"), 0o755)
            let agent = try AgentUnderTest.blockingProcesses(scratch, "matchPaths: [{path: \"@/bin/script\"}]")
            let words =
                way == "direct"
                ? [scratch.path("bin/script")] : ["/usr/bin/" + interpreter, scratch.path("bin/script")]
            let result = Shell.run(
                way == "direct" ? [AgentUnderTest.binaries + "/portcullis-victim", "exec"] + words : words)
            #expect(result.status != 0, "\(result)")
            #expect(!FileManager.default.fileExists(atPath: marker))
            let alerts = agent.alerts(atLeast: 1)
            // Python looks at its script twice: two denied opens, two alerts.
            #expect(way == "python3" ? !alerts.isEmpty : alerts.count == 1, "\(alerts.map(\.fields))")
            #expect(alerts.allSatisfy { $0["Action"] == "Block" && $0["ProcessName"] == scratch.path("bin/script") })
        }
    }
}
