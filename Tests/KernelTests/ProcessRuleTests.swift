import Foundation
import Testing

extension KernelSuite {
    /// Process rules, and B15–B19, B22 as far as fanotify reaches.
    @Suite("Process rules")
    struct ProcessRuleTests {
        private func start(_ scratch: Scratch, _ rules: String) throws -> AgentUnderTest {
            try AgentUnderTest(scratch, policies: ["p.yaml": AgentUnderTest.policy(process: rules)])
        }
        private static let denied = "matchPaths: [{path: \"@/bin/denied\"}]"

        @Test func aBlockedProgramDoesNotRunAndOthersDo() throws {
            let scratch = try Scratch()
            let agent = try start(scratch, Self.denied)
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
            let agent = try start(scratch, Self.denied)
            let result = Shell.run("bash", "-c", scratch.path("bin/denied") + " true")
            #expect(result.status == 126)
            #expect(result.error.contains("Operation not permitted"))
            #expect(agent.alerts(atLeast: 1).count == 1)
        }

        @Test func fromSourceIsAboutTheParentsExecutable() throws {
            let scratch = try Scratch()
            try FileManager.default.copyItem(
                atPath: AgentUnderTest.binaries + "/portcullis-victim", toPath: scratch.path("bin/parent"))
            let agent = try start(
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
            let agent = try start(scratch, "matchDirectories: [{dir: \"@/bin/\", recursive: true}]")
            agent.expectBlocked(
                agent.victim("exec", scratch.path("bin/allowed")), operation: "Process",
                resource: scratch.path("bin/allowed"))
        }

        @Test func b16TheLoaderRunsNothingThatIsBlocked() throws {
            let scratch = try Scratch()
            let marker = scratch.path("work/marker")
            let agent = try start(scratch, Self.denied)
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

        @Test(arguments: ["direct", "sh", "python3"])
        func b17AScriptIsBlockedHoweverItIsRun(way: String) throws {
            let scratch = try Scratch()
            let marker = scratch.path("work/marker")
            let interpreter = way == "python3" ? "python3" : "sh"
            let body = way == "python3" ? "open('\(marker)', 'w')\n" : "echo x > \(marker)\n"
            try scratch.write("bin/script", "#!/usr/bin/env \(interpreter)\n" + body)
            chmod(scratch.path("bin/script"), 0o755)
            let agent = try start(scratch, "matchPaths: [{path: \"@/bin/script\"}]")
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

        @Test func b19ACopyRunsUnderAPathRule() throws {
            let scratch = try Scratch()
            let agent = try start(scratch, Self.denied)
            try FileManager.default.copyItem(atPath: scratch.path("bin/denied"), toPath: scratch.path("work/copy"))
            let marker = scratch.path("work/marker")
            _ = Shell.run(scratch.path("work/copy"), marker)
            #expect(FileManager.default.fileExists(atPath: marker))
            #expect(agent.alerts().isEmpty)
        }

        @Test func b02ALinkedProgramIsStillTheObject() throws {
            let scratch = try Scratch()
            let agent = try start(scratch, Self.denied)
            link(scratch.path("bin/denied"), scratch.path("work/h"))
            agent.expectBlocked(
                agent.victim("exec", scratch.path("work/h"), "true"), operation: "Process",
                resource: scratch.path("work/h"))
        }

        @Test func b22AFilesystemMountedLaterIsMarked() throws {
            let scratch = try Scratch()
            try FileManager.default.createDirectory(atPath: scratch.path("mnt"), withIntermediateDirectories: true)
            let agent = try AgentUnderTest(
                scratch,
                policies: [
                    "p.yaml": AgentUnderTest.policy(file: "matchDirectories: [{dir: \"@/mnt/\", recursive: true}]")
                ])
            try Scratch.tmpfs(scratch.path("mnt"))
            defer { _ = Shell.run("umount", "-l", scratch.path("mnt")) }
            // Until the mount is noticed a file can be made in it; then none can.
            var result = agent.victim("create", scratch.path("mnt/file0"))
            let end = Date().addingTimeInterval(2)
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
