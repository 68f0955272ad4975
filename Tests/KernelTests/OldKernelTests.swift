import Foundation
import LinuxKernel
import Testing

extension KernelSuite {
    /// What Linux 4.19 lacks: marks on filesystems, events for executions and for threads, names in events, seccomp listeners, pidfds. This
    /// kernel answers as that one would (`portcullis-victim like-kernel`).
    @Suite("An old kernel")
    struct OldKernelTests {
        private func start(
            file: String = "", process: String = "", action: String = "Block"
        ) throws -> (Scratch, AgentUnderTest) {
            let scratch = try Scratch(like: "4.19")
            return (
                scratch,
                try AgentUnderTest(
                    scratch,
                    policies: ["p.yaml": AgentUnderTest.policy(file: file, process: process, action: action)])
            )
        }

        @Test func probeAndStatusSayWhatIsMissing() throws {
            let (_, agent) = try start(file: AgentUnderTest.protectedTree)
            let probe = agent.run([agent.place.binaries + "/portcullis", "probe"]).output
            for name in [
                "fanotify.filesystem-mark", "fanotify.open-exec-permission", "fanotify.report-tid",
                "fanotify.report-dfid-name", "seccomp.add-descriptor",
            ] {
                let line = probe.split(separator: "\n").first { $0.hasPrefix(name + " ") } ?? ""
                #expect(line.split(separator: " ").dropFirst().first == "no", "\(name): \(probe)")
            }
            let status = agent.tool("status").output
            #expect(status.contains("no seccomp user notification (Linux 5.9)"), "\(status)")
            #expect(status.contains("does not tell which thread asks, or whether it executes"), "\(status)")
        }

        @Test func onThisKernelNothingOfThatIsSaid() throws {
            let agent = try AgentUnderTest.blockingFiles(try Scratch())
            let status = agent.tool("status").output
            #expect(status.contains("fanotify"), "\(status)")
            #expect(!status.contains("this kernel"), "\(status)")
        }

        @Test(arguments: ["prot/secret", "prot/sub/deep"])
        func blockedFilesAreNotReadAndOthersAre(name: String) throws {
            let (scratch, agent) = try start(file: AgentUnderTest.protectedTree)
            agent.expectBlocked(
                agent.victim("read", scratch.path(name)), operation: "File", resource: scratch.path(name))
            #expect(agent.victim("read", scratch.path("work/plain")).output == "ok PLAIN\n")
            #expect(agent.alerts().count == 1)
        }

        @Test func aPatternIsHeldOnEveryMount() throws {
            let scratch = try Scratch(like: "4.19")
            try scratch.write("work/key.pem", "SECRET\n")
            try Shell.check("mount", "--bind", scratch.path("work"), scratch.path("prot/sub"))
            defer { _ = Shell.run("umount", scratch.path("prot/sub")) }
            let agent = try AgentUnderTest.blockingFiles(scratch, "matchPatterns: [{pattern: \"@/**/*.pem\"}]")
            #expect(agent.tool("status").output.contains("this kernel cannot mark whole filesystems"))
            for (count, name) in ["work/key.pem", "prot/sub/key.pem"].enumerated() {
                // It is one file, which is known by the name it has there.
                agent.expectBlocked(
                    agent.victim("read", scratch.path(name)), operation: "File",
                    resource: scratch.path("work/key.pem"), alerts: count + 1)
            }
            #expect(agent.victim("read", scratch.path("work/plain")).output == "ok PLAIN\n")
        }

        @Test func aReplacedFileIsNoticed() throws {
            let (scratch, agent) = try start(file: "matchPaths: [{path: \"@/prot/secret\"}]")
            try scratch.write("work/new", "SECRET\n")
            #expect(rename(scratch.path("work/new"), scratch.path("prot/secret")) == 0)
            agent.expectBlocked(
                agent.victim("read", scratch.path("prot/secret")), operation: "File",
                resource: scratch.path("prot/secret"))
        }

        /// Writes are told from reads by the registers of the waiting call. Which of several threads waits in it the event does not say: then what
        /// any of them may want is denied.
        @Test func whoMayWriteIsGuessedOnTheSafeSide() throws {
            let (scratch, agent) = try start(
                file: "matchDirectories: [{dir: \"@/prot/\", recursive: true, readOnly: true}]")
            #expect(agent.victim("read", scratch.path("prot/secret")).output == "ok SECRET\n")
            agent.expectBlocked(
                agent.victim("write", scratch.path("prot/secret")), operation: "File",
                resource: scratch.path("prot/secret"))
            // A thread that waits in an open of its own, for as long as the other one reads.
            try Shell.check("mkfifo", scratch.path("work/pipe"))
            let script = """
                import sys, threading
                def wait(): open(sys.argv[1]).close()
                thread = threading.Thread(target=wait)
                thread.start()
                while open("/proc/self/task/%d/syscall" % thread.native_id).read().split()[0] != "257": pass
                try: print("ok", open(sys.argv[2]).read())
                except OSError as error: print("errno", error.errno, "EPERM")
                open(sys.argv[1], "w").close()
                thread.join()
                """
            let result = agent.run(["python3", "-c", script, scratch.path("work/pipe"), scratch.path("prot/secret")])
            agent.expectBlocked(result, operation: "File", resource: scratch.path("prot/secret"), alerts: 2)
            agent.stop()
            #expect(scratch.text("prot/secret") == "SECRET\n")
        }

        @Test func aBlockedProgramDoesNotRunAndOthersDo() throws {
            let (scratch, agent) = try start(process: "matchPaths: [{path: \"@/bin/denied\"}]")
            let marker = scratch.path("work/marker")
            agent.expectBlocked(
                agent.victim("exec", scratch.path("bin/denied"), marker), operation: "Process",
                resource: scratch.path("bin/denied"))
            #expect(!FileManager.default.fileExists(atPath: marker))
            _ = agent.victim("exec", scratch.path("bin/allowed"), marker)
            #expect(FileManager.default.fileExists(atPath: marker))
            #expect(agent.alerts().count == 1)
        }

        /// A shell forks, the loader opens: the same program, as a call of another kind.
        @Test func aBlockedProgramIsNotRunByTheLoaderEither() throws {
            let (scratch, agent) = try start(process: "matchPaths: [{path: \"@/bin/denied\"}]")
            let marker = scratch.path("work/marker")
            let loader = "/lib64/ld-linux-x86-64.so.2"
            #expect(agent.run([loader, scratch.path("bin/denied"), marker]).status != 0)
            #expect(agent.alerts(atLeast: 1).count == 1)
            #expect(!FileManager.default.fileExists(atPath: marker))
        }

        @Test func aDirectoryOfPrograms() throws {
            let (scratch, agent) = try start(process: "matchDirectories: [{dir: \"@/bin/\", recursive: true}]")
            agent.expectBlocked(
                agent.victim("exec", scratch.path("bin/allowed")), operation: "Process",
                resource: scratch.path("bin/allowed"))
        }

        @Test func anAuditedProgramIsReportedAsAnExecution() throws {
            let (scratch, agent) = try start(process: "matchPaths: [{path: \"@/bin/denied\"}]", action: "Audit")
            let marker = scratch.path("work/marker")
            _ = agent.victim("exec", scratch.path("bin/denied"), marker)
            #expect(FileManager.default.fileExists(atPath: marker))
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.map { $0["Operation"] } == ["Process"])
            #expect(alerts.first?["Resource"] == "\(scratch.path("bin/denied")) \(marker)")
        }

        @Test func theWorkersDeathOpensNothing() throws {
            let (scratch, agent) = try start(file: AgentUnderTest.protectedTree)
            let stop = scratch.outside + "/stop"
            let output = open(scratch.path("work/out"), O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            let victim = try Child(
                agent.place.enter + [
                    agent.place.binaries + "/portcullis-victim", "hammer-until", scratch.path("prot/secret"), stop,
                    "100",
                ], [output, output, output])
            close(output)
            var killed: Set<Int32> = []
            let end = Date().addingTimeInterval(120)
            while killed.count < 10, Date() < end {
                if let worker = agent.pid(of: "worker"), killed.insert(worker).inserted { kill(worker, SIGKILL) }
                AgentUnderTest.pause()
            }
            #expect(killed.count == 10)
            try "".write(toFile: stop, atomically: false, encoding: .utf8)
            victim.wait()
            let text = scratch.text("work/out") ?? ""
            #expect(text.hasPrefix("succeeded 0 refused "), "\(text)")
        }

        /// Kernels without Landlock: one that answers so, and this one if it is one.
        private static let withoutLandlock: [String?] =
            FeatureProbe.run().isAvailable("landlock") ? ["5.12"] : ["5.12", nil]

        @Test(arguments: withoutLandlock)
        func aWallThatTheKernelCannotBuildIsRefusedWithTheReason(kernel: String?) throws {
            let scratch = try Scratch(like: kernel)
            let agent = try AgentUnderTest(
                scratch, policies: ["p.yaml": AgentUnderTest.policy(file: AgentUnderTest.protectedTree)])
            let result = agent.tool("run", "--landlock", "--", "touch", scratch.path("work/ran"))
            #expect(result.status == 1 && result.output == "", "\(result)")
            #expect(
                result.error
                    == "portcullis: --landlock: this kernel has no Landlock (Linux 5.13), or it is not switched on\n")
            #expect(scratch.text("work/ran") == nil)
            // Without the wall it is the same tree as ever.
            #expect(agent.tool("run", "--", "cat", scratch.path("work/plain")).output == "PLAIN\n")
            #expect(agent.alerts().isEmpty)
        }

        @Test func aTreeIsRefusedWithTheReason() throws {
            let (scratch, agent) = try start(file: AgentUnderTest.protectedTree)
            let marker = scratch.path("work/marker")
            let result = agent.tool("run", "--", "/usr/bin/touch", marker)
            #expect(result.status != 0)
            #expect(result.error.contains("no seccomp user notification"), "\(result)")
            #expect(!FileManager.default.fileExists(atPath: marker))
        }
    }
}
