import Foundation
import Testing

extension KernelSuite {
    /// An agent and a tree of a user without privileges: nothing but system calls decides.
    @Suite("Rootless")
    struct RootlessTests {
        private func start(
            _ policy: String, filesystem: Filesystem = .tmpfs, options: [String] = []
        ) throws -> (Scratch, AgentUnderTest) {
            let scratch = try Scratch(filesystem, ownedBy: Scratch.user)
            return (
                scratch, try AgentUnderTest(scratch, policies: ["p.yaml": policy], options: ["--rootless"] + options)
            )
        }

        private func victim(_ agent: AgentUnderTest, _ words: String...) -> Shell.Result {
            agent.tool(["run", "--", AgentUnderTest.binaries + "/portcullis-victim"] + words)
        }

        /// Expects one more alert than before.
        private func expectAlert(
            _ agent: AgentUnderTest, _ operation: String, _ resource: String, number: Int = 1,
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let alerts = agent.alerts(atLeast: number)
            #expect(alerts.count == number, "\(alerts.map(\.fields))", sourceLocation: sourceLocation)
            #expect(alerts.last?["PolicyName"] == "p", sourceLocation: sourceLocation)
            #expect(alerts.last?["Operation"] == operation, sourceLocation: sourceLocation)
            #expect(
                alerts.last?["Resource"]?.hasPrefix(resource) == true, "\(alerts.last?["Resource"] ?? "")",
                sourceLocation: sourceLocation)
            #expect(alerts.last?["Action"] == "Block", sourceLocation: sourceLocation)
            #expect(alerts.last?["Result"] == "Permission denied", sourceLocation: sourceLocation)
            #expect(alerts.last?["Enforcer"] == "seccomp", sourceLocation: sourceLocation)
        }

        private static let files = AgentUnderTest.policy(
            file: "matchDirectories: [{dir: \"@/prot/\", recursive: true}]")
        private static let program = AgentUnderTest.policy(process: "matchPaths: [{path: \"@/bin/denied\"}]")

        /// B01, B05, B07, B13: every way to a protected file's contents. `@` is the root.
        private static let readers: [[String]] = [
            ["read", "@/prot/secret"], ["read", "@/prot/sub/deep"], ["readwrite", "@/prot/secret"],
            ["read", "@/prot/../prot/./secret"], ["read", "@/work/link"], ["reopen", "@/prot/secret"],
            ["dirfd", "@/prot", "secret"], ["relative", "@/prot", "secret"], ["map", "@/prot/secret"],
            ["append", "@/prot/secret"], ["truncate-open", "@/prot/secret"], ["read-truncate", "@/prot/secret"],
            ["read", "/proc/self/root@/prot/secret"], ["read", "/proc/thread-self/cwd@/prot/secret"],
        ]

        @Test(arguments: Filesystem.allCases) func aProtectedFileIsNotOpened(filesystem: Filesystem) throws {
            let (scratch, agent) = try start(Self.files, filesystem: filesystem)
            try FileManager.default.createSymbolicLink(
                atPath: scratch.path("work/link"), withDestinationPath: scratch.path("prot/secret"))
            for (index, words) in Self.readers.enumerated() {
                let result = agent.tool(
                    ["run", "--", "sh", "-c", "cd / && exec \"$@\"", "sh", scratch.binaries + "/portcullis-victim"]
                        + words.map { $0.replacingOccurrences(of: "@", with: scratch.root) })
                #expect(result.output == "errno 13 EACCES\n", "\(words): \(result)")
                #expect(scratch.text("prot/secret") == "SECRET\n")
                expectAlert(agent, "File", scratch.path("prot/"), number: index + 1)
            }
        }

        /// B02: the name that a rule has is not the one that is used.
        @Test func b02AHardLinkFromBeforeIsKnown() throws {
            let scratch = try Scratch(ownedBy: Scratch.user)
            try FileManager.default.linkItem(
                atPath: scratch.path("prot/secret"), toPath: scratch.path("work/hard"))
            let agent = try AgentUnderTest(scratch, policies: ["p.yaml": Self.files], options: ["--rootless"])
            #expect(victim(agent, "read", scratch.path("work/hard")).output == "errno 13 EACCES\n")
            expectAlert(agent, "File", scratch.path("work/hard"))
        }

        @Test func b06AFileHandleOpensNothing() throws {
            let (scratch, agent) = try start(Self.files)
            let result = victim(agent, "by-handle", scratch.path("prot/secret"), scratch.root)
            #expect(result.output.hasPrefix("errno 1 "), "\(result)")
        }

        /// B08, B09, B10.
        private static let changers: [[String]] = [
            ["unlink", "@/prot/secret"], ["rename", "@/prot/secret", "@/work/s"], ["rename", "@/prot", "@/work/p"],
            ["link", "@/prot/secret", "@/work/s"], ["truncate", "@/prot/secret"], ["chmod", "@/prot/secret"],
            ["mkdir", "@/prot/new"], ["symlink", "/etc", "@/prot/new"], ["creat", "@/prot/new"],
            ["set-times", "@/prot/secret"], ["unix-bind", "@/prot/socket"],
            ["exchange", "@/work/plain", "@/prot/secret"],
        ]

        @Test func aProtectedNameIsNotChanged() throws {
            let (scratch, agent) = try start(Self.files)
            let before = try Shell.check("ls", "-lR", "--time-style=full-iso", scratch.path("prot"))
            for (index, words) in Self.changers.enumerated() {
                let result = agent.tool(
                    ["run", "--", scratch.binaries + "/portcullis-victim"]
                        + words.map { $0.replacingOccurrences(of: "@", with: scratch.root) })
                #expect(result.output == "errno 13 EACCES\n", "\(words): \(result)")
                #expect(try Shell.check("ls", "-lR", "--time-style=full-iso", scratch.path("prot")) == before)
                expectAlert(agent, "File", scratch.path("prot"), number: index + 1)
            }
        }

        @Test(arguments: ["exec", "fork-exec"]) func aBlockedProgramDoesNotRun(verb: String) throws {
            let (scratch, agent) = try start(Self.program)
            #expect(victim(agent, verb, scratch.path("bin/denied")).output == "errno 13 EACCES\n")
            expectAlert(agent, "Process", scratch.path("bin/denied"))
            #expect(agent.tool("run", "--", scratch.path("bin/allowed"), scratch.path("work/ran")).status == 0)
            #expect(scratch.text("work/ran") == "")
        }

        /// B16: the loader reads the program, and runs it.
        @Test func b16TheLoaderRunsNoBlockedProgram() throws {
            let (scratch, agent) = try start(Self.program)
            let result = agent.tool(
                "run", "--", "/lib64/ld-linux-x86-64.so.2", scratch.path("bin/denied"), scratch.path("work/ran"))
            #expect(result.status != 0 && result.error.contains("Permission denied"), "\(result)")
            #expect(scratch.text("work/ran") == nil)
            expectAlert(agent, "Process", scratch.path("bin/denied"))
        }

        /// B17: so does an interpreter with a script.
        @Test(arguments: [[], ["sh"], ["bash"]]) func b17AScriptIsNotRun(interpreter: [String]) throws {
            let scratch = try Scratch(ownedBy: Scratch.user)
            try scratch.write("bin/denied-script", "#!/bin/sh\ntouch \(scratch.path("work/ran"))\n")
            chmod(scratch.path("bin/denied-script"), 0o755)
            let agent = try AgentUnderTest(
                scratch,
                policies: ["p.yaml": AgentUnderTest.policy(process: "matchPaths: [{path: \"@/bin/denied-script\"}]")],
                options: ["--rootless"])
            let result = agent.tool(["run", "--"] + interpreter + [scratch.path("bin/denied-script")])
            #expect(result.status != 0 && result.error.contains("Permission denied"), "\(result)")
            #expect(scratch.text("work/ran") == nil)
            expectAlert(agent, "Process", scratch.path("bin/denied-script"))
        }

        /// B15: a program without a name is on no list.
        @Test func b15AnAllowListRunsNoMemoryFile() throws {
            let allowed = ["/usr/bin/", "/bin/", "/lib64/", AgentUnderTest.binaries + "/"].map {
                "{dir: \"\($0)\", recursive: true}"
            }.joined(separator: ", ")
            let (scratch, agent) = try start(
                AgentUnderTest.policy(process: "matchDirectories: [\(allowed)]", action: "Allow"),
                options: ["--file-posture", "block"])
            #expect(
                victim(agent, "tmpfile-exec", scratch.path("bin/allowed"), scratch.path("work")).output.hasPrefix(
                    "errno "))
            #expect(victim(agent, "memfd-exec", scratch.path("bin/allowed")).output == "errno 9 EBADF\n")
            let result = agent.tool("run", "--", scratch.path("bin/allowed"), scratch.path("work/ran"))
            #expect(result.status != 0, "\(result)")
            #expect(scratch.text("work/ran") == nil)
            #expect(agent.tool("run", "--", "/bin/sh", "-c", "ls / > /dev/null && echo ran").output == "ran\n")
        }

        @Test func aProtocolIsNotSpoken() throws {
            let (_, agent) = try start(AgentUnderTest.policy(network: "matchProtocols: [{protocol: udp}]"))
            #expect(victim(agent, "socket", "2", "2", "0").output == "errno 13 EACCES\n")
            expectAlert(agent, "Network", "protocol=UDP")
            #expect(victim(agent, "socket", "2", "1", "0").output == "ok\n")
        }

        @Test func aTreeHasPoliciesOfItsOwn() throws {
            let (scratch, agent) = try start(Self.program)
            let own = scratch.outside + "/own.yaml"
            try Self.files.replacingOccurrences(of: "@", with: scratch.root)
                .write(toFile: own, atomically: true, encoding: .utf8)
            let cat = ["cat", scratch.path("prot/secret")]
            #expect(agent.tool(["run", "--policies", own, "--"] + cat).error.contains("Permission denied"))
            #expect(agent.tool(["run", "--"] + cat).output == "SECRET\n")
            expectAlert(agent, "File", scratch.path("prot/secret"))
        }

        @Test func b27NoForbiddenOpenSucceedsWhileTheWorkerIsKilled() throws {
            let (scratch, agent) = try start(Self.files)
            let (text, kills) = try agent.hammer([], scratch.path("prot/secret"), Effort.times(3000))
            #expect(text == "succeeded 0 refused \(Effort.times(3000))\n", "\(kills) kills")
            #expect(kills > 0)
        }

        @Test func itSaysWhatItHolds() throws {
            let (scratch, agent) = try start(Self.files)
            let status = agent.tool("status")
            #expect(status.output.contains("without fanotify"), "\(status)")
            #expect(status.output.contains("only in supervised trees"), "\(status)")
            // Outside of trees nothing is held, and it says so.
            #expect(agent.run(["cat", scratch.path("prot/secret")]).output == "SECRET\n")
        }

        @Test func rootNeedsNoSuchThing() throws {
            let scratch = try Scratch()
            let result = Shell.run(scratch.binaries + "/portcullisd", "--rootless")
            #expect(result.status == 1)
            #expect(result.error == "portcullisd: --rootless is for other users than root, who needs no such thing\n")
        }

        @Test func withoutItAUserIsToldOfIt() throws {
            let scratch = try Scratch(ownedBy: Scratch.user)
            let result = Shell.run(scratch.enter + [scratch.binaries + "/portcullisd"])
            #expect(result.status == 1)
            #expect(result.error.contains("CAP_SYS_ADMIN") && result.error.contains("--rootless"), "\(result)")
        }
    }
}
