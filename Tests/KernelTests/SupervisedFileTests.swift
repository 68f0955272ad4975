import Foundation
import LinuxKernel
import Synchronization
import Testing

extension KernelSuite {
    /// File rules in supervised trees: what fanotify has no event for, and what it answers too late (B02, B03, B07 to B10).
    @Suite("Supervised files")
    struct SupervisedFileTests {
        /// One call of the victim, and what its alert says.
        struct Attack: CustomTestStringConvertible, Sendable {
            var words: [String]
            var resource: String
            var hook: String
            var testDescription: String { words.joined(separator: " ") }

            init(_ hook: String, _ resource: String, _ words: String...) {
                (self.hook, self.resource, self.words) = (hook, resource, words)
            }
        }

        /// Everything there is to know of a tree, but access times: whatever is changed, the time of the last change is too.
        private func inventory(_ scratch: Scratch) throws -> String {
            try Shell.check(
                "find", scratch.path("prot"), scratch.path("work"), "-printf", "%p %y %i %m %U:%G %n %s %T@ %C@ %l\\n")
        }

        private func attack(_ attack: Attack, _ rules: String) throws {
            let scratch = try Scratch()
            try FileManager.default.createDirectory(
                atPath: scratch.path("prot/empty"), withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(
                atPath: scratch.path("work/link"), withDestinationPath: "../prot/secret")
            // Without the agent: the directory cannot even be listed while the rule holds.
            let before = try inventory(scratch)
            let agent = try AgentUnderTest.blockingFiles(scratch, rules)
            // Victims are told whole paths, so that a word that is none starts without @.
            let words = attack.words.map { $0.hasPrefix("@") ? scratch.path(String($0.dropFirst())) : $0 }
            let result = agent.tool(["run", "--", AgentUnderTest.binaries + "/portcullis-victim"] + words)
            #expect(result.output == "errno 13 EACCES\n", "\(result)")
            let alerts = agent.alerts(atLeast: 1)
            agent.stop()
            #expect(try inventory(scratch) == before)
            #expect(alerts.count == 1, "\(alerts.map(\.fields))")
            let alert = try #require(alerts.first)
            #expect(alert["PolicyName"] == "p")
            #expect(alert["Operation"] == "File")
            #expect(alert["Resource"] == scratch.path(attack.resource))
            #expect(alert["Data"] == "lsm=\(attack.hook)")
            #expect(alert["Enforcer"] == "seccomp")
            #expect(alert["Action"] == "Block")
            #expect(alert["Result"] == "Permission denied")
            #expect(alert["ProcessName"]?.hasSuffix("/portcullis-victim") == true)
        }

        @Test(arguments: AgentMode.allCases) func socketsAreBoundAsBefore(mode: AgentMode) throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest(
                scratch, policies: ["p.yaml": AgentUnderTest.policy(file: "matchPaths: [{path: \"@/prot/secret\"}]")],
                options: mode.options)
            let victim = AgentUnderTest.binaries + "/portcullis-victim"
            let expected = Shell.run(victim, "other-binds").output
            #expect(expected == "port 1 netlink 1 again -1 none -1\n")
            #expect(agent.tool("run", "--", victim, "other-binds").output == expected)
            let path = scratch.path("work/socket")
            #expect(agent.tool("run", "--", victim, "unix-bind", path).output == "ok\n")
            #expect(try Shell.check("stat", "-c", "%F %a", path) == "socket 755\n")
            #expect(agent.tool("run", "--", victim, "unix-bind", path).output == "errno 98 EADDRINUSE\n")
            #expect(agent.tool("run", "--", victim, "unix-bind", path + "/x").output == "errno 20 ENOTDIR\n")
            #expect(agent.tool("run", "--", victim, "unix-bind", scratch.path("none/x")).output == "errno 2 ENOENT\n")
            #expect(agent.alerts().isEmpty)
        }

        static let changes: [Attack] = [
            // B02
            Attack("FILE_LINK", "prot/secret", "link", "@prot/secret", "@work/h"),
            Attack("FILE_LINK", "prot/secret", "link-pinned", "@prot/secret", "@work/h"),
            Attack("FILE_LINK", "prot/secret", "link-empty", "@prot/secret", "@work/h"),
            Attack("FILE_LINK", "prot/h", "link", "@work/plain", "@prot/h"),
            // B03
            Attack("FILE_RENAME", "prot/secret", "rename", "@prot/secret", "@work/x"),
            Attack("FILE_RENAME", "prot", "rename", "@prot", "@other"),
            Attack("FILE_RENAME", "prot", "rename", "@prot/", "@work/d"),
            Attack("FILE_RENAME", "prot/sub", "rename", "@prot/sub", "@work/d"),
            Attack("FILE_RENAME", "prot/new", "rename", "@work/plain", "@prot/new"),
            Attack("FILE_RENAME", "prot/secret", "rename", "@work/plain", "@prot/secret"),
            Attack("FILE_RENAME", "prot/secret", "exchange", "@work/plain", "@prot/secret"),
            Attack("FILE_RENAME", "prot/secret", "exchange", "@prot/secret", "@work/plain"),
            // B07
            Attack("FILE_OPEN", "prot/secret", "write", "@prot/secret"),
            Attack("FILE_OPEN", "prot/secret", "append", "@prot/secret"),
            Attack("FILE_OPEN", "prot/secret", "readwrite", "@prot/secret"),
            Attack("FILE_OPEN", "prot/secret", "truncate-open", "@prot/secret"),
            Attack("FILE_OPEN", "prot/secret", "read-truncate", "@prot/secret"),
            Attack("FILE_OPEN", "prot/secret", "creat", "@prot/secret"),
            Attack("FILE_OPEN", "prot/new", "creat", "@prot/new"),
            Attack("FILE_OPEN", "prot/new", "create", "@prot/new"),
            Attack("FILE_OPEN", "prot/#tmpfile", "tmpfile", "@prot"),
            Attack("FILE_OPEN", "prot/secret", "write", "@work/link"),
            Attack("FILE_OPEN", "prot/secret", "reopen-write", "@prot/secret"),
            Attack("FILE_OPEN", "prot/secret", "write", "@work/../prot//./secret"),
            Attack("FILE_OPEN", "prot/secret", "write-at", "@work", "../prot/secret"),
            // B08
            Attack("FILE_TRUNCATE", "prot/secret", "truncate", "@prot/secret"),
            Attack("FILE_TRUNCATE", "prot/secret", "truncate", "@work/link"),
            // B09
            Attack("FILE_UNLINK", "prot/secret", "unlink", "@prot/secret"),
            Attack("FILE_UNLINK", "prot/secret", "unlinkat", "@prot/secret"),
            Attack("FILE_RMDIR", "prot/empty", "rmdir", "@prot/empty"),
            Attack("FILE_MKDIR", "prot/d", "mkdir", "@prot/d"),
            Attack("FILE_MKNOD", "prot/p", "mkfifo", "@prot/p"),
            Attack("FILE_MKNOD", "prot/f", "mknod", "@prot/f"),
            Attack("FILE_MKNOD", "prot/s", "unix-bind", "@prot/s"),
            Attack("FILE_MKNOD", "prot/s", "unix-bind", "@work/../prot/s"),
            Attack("FILE_SYMLINK", "prot/l", "symlink", "/etc", "@prot/l"),
            // B10
            Attack("FILE_CHMOD", "prot/secret", "chmod", "@prot/secret"),
            Attack("FILE_CHMOD", "prot/secret", "chmod", "@work/link"),
            Attack("FILE_CHMOD", "prot/secret", "fchmodat", "@prot/secret"),
            Attack("FILE_CHOWN", "prot/secret", "chown", "@prot/secret"),
            Attack("FILE_CHOWN", "prot/secret", "lchown", "@prot/secret"),
            Attack("FILE_SETXATTR", "prot/secret", "setxattr", "@prot/secret"),
            Attack("FILE_SETXATTR", "prot/secret", "removexattr", "@prot/secret"),
            Attack("FILE_UTIME", "prot/secret", "set-times", "@prot/secret"),
            Attack("FILE_UTIME", "prot/secret", "utime", "@prot/secret"),
        ]

        @Test(arguments: Effort.some(of: changes)) func aBlockedFileStaysAsItIs(change: Attack) throws {
            try attack(change, "matchDirectories: [{dir: \"@/prot/\", recursive: true}]")
        }

        static let readOnlyChanges: [Attack] =
            changes.filter { !["rename", "exchange"].contains($0.words[0]) } + [
                Attack("FILE_CHMOD", "prot/secret", "fchmod", "@prot/secret"),
                Attack("FILE_CHOWN", "prot/secret", "fchown", "@prot/secret"),
                Attack("FILE_SETXATTR", "prot/secret", "fsetxattr", "@prot/secret"),
                Attack("FILE_UTIME", "prot/secret", "futimens", "@prot/secret"),
            ]

        @Test(arguments: Effort.some(of: readOnlyChanges)) func aReadOnlyFileStaysAsItIs(change: Attack) throws {
            try attack(change, "matchDirectories: [{dir: \"@/prot/\", recursive: true, readOnly: true}]")
        }

        @Test func aReadOnlyFileIsRead() throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest.blockingFiles(
                scratch, "matchDirectories: [{dir: \"@/prot/\", recursive: true, readOnly: true}]")
            let victim = AgentUnderTest.binaries + "/portcullis-victim"
            #expect(agent.tool("run", "--", victim, "read", scratch.path("prot/secret")).output == "ok SECRET\n")
            #expect(agent.alerts().isEmpty)
        }

        @Test func anAuditedChangeIsReportedOnceAndDone() throws {
            let scratch = try Scratch()
            let policy = AgentUnderTest.policy(
                file: "matchDirectories: [{dir: \"@/prot/\", recursive: true}]", action: "Audit")
            let agent = try AgentUnderTest(scratch, policies: ["p.yaml": policy])
            let victim = AgentUnderTest.binaries + "/portcullis-victim"
            let words = ["rename", scratch.path("prot/secret"), scratch.path("prot/other")]
            #expect(agent.tool(["run", "--", victim] + words).output == "ok\n")
            let alerts = agent.alerts(atLeast: 1)
            #expect(scratch.text("prot/other") == "SECRET\n")
            #expect(alerts.count == 1, "\(alerts.map(\.fields))")
            #expect(alerts.first?["Action"] == "Audit")
            #expect(alerts.first?["Result"] == "Passed")
            #expect(alerts.first?["Resource"] == scratch.path("prot/secret"))
        }

        /// What is opened for the caller is open, closed on exec where it was asked for, and the lowest number that is free.
        @Test func whatIsOpenedForTheCallerIsItsOwn() throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest(
                scratch, policies: ["p.yaml": AgentUnderTest.policy(file: AgentUnderTest.protectedTree)],
                options: AgentMode.callsOnly.options)
            let script = """
                import ctypes, os
                os.chdir("\(scratch.path("work"))")
                os.close(0)
                kept = os.open("made", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o640)
                other = ctypes.CDLL(None).open(b"made", os.O_RDONLY)
                os.write(kept, b"one")
                print(kept, os.read(other, 9).decode(), os.get_inheritable(kept), os.get_inheritable(other))
                try: os.open("\(scratch.path("prot/secret"))", os.O_RDONLY)
                except OSError as error: print(error.errno)
                """
            // Python's own open asks for O_CLOEXEC.
            let result = agent.tool("run", "--", "python3", "-c", script)
            #expect(result.output == "0 one False True\n13\n", "\(result)")
            #expect(scratch.text("work/made") == "one")
            #expect(agent.alerts(atLeast: 1).count == 1)
        }

        /// A signal calls the thread away from a call that is being performed: the kernel makes it again, where it cannot be told to wait
        /// (before Linux 5.19), and it must not be done twice.
        @Test func anInterruptedCallIsDoneOnce() throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest.blockingFiles(scratch)
            let rounds = Effort.times(1000)
            let result = agent.tool(
                "run", "--", AgentUnderTest.binaries + "/portcullis-victim", "interrupted", scratch.path("work"),
                "\(rounds)")
            let errors = try #require(Int(result.output.dropFirst("errors ".count).dropLast()), "\(result)")
            // Without memory for what was done it is a third of three times as many.
            #expect(errors * 10 <= rounds, "\(errors) of \(rounds)")
            #expect(agent.alerts().isEmpty)
        }

        @Test func aWriterOfAPipeWaitsForItsReader() throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest.blockingFiles(scratch)
            let pipe = scratch.path("work/pipe")
            try Shell.check("mkfifo", pipe)
            // More writers than there are threads; a call that does not wait goes through meanwhile.
            let script = """
                for i in $(seq 20); do (echo $i > \(pipe)) & done
                sleep 0.3; echo between > \(scratch.path("work/between"))
                exec 3<> \(pipe)
                for i in $(seq 20); do read line <&3; echo "$line"; done | sort -n | tr '\\n' ' '
                wait
                """
            let result = agent.tool("run", "--", "timeout", "60", "bash", "-c", script)
            #expect(result.output == (1...20).map { "\($0) " }.joined(), "\(result)")
            #expect(result.status == 0, "\(result)")
            #expect(scratch.text("work/between") == "between\n")
        }

        @Test func aReaderOfAPipeWaitsForItsWriter() throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest(
                scratch, policies: ["p.yaml": AgentUnderTest.policy(file: AgentUnderTest.protectedTree)],
                options: AgentMode.callsOnly.options)
            // More readers than there are threads; a call that does not wait goes through meanwhile. One writer says nothing for a while, one
            // nothing at all.
            let script = """
                cd \(scratch.path("work")); for i in $(seq 12); do mkfifo pipe$i; cat pipe$i & done
                sleep 0.3; echo between > between
                (exec 3> pipe1; sleep 0.2; echo 1 >&3) & : > pipe2
                for i in $(seq 3 12); do echo $i > pipe$i; done
                wait
                """
            let result = agent.tool("run", "--", "timeout", "60", "bash", "-c", script)
            let lines = result.output.split(separator: "\n").compactMap { Int($0) }.sorted()
            #expect(lines == [1] + Array(3...12), "\(result)")
            #expect(result.status == 0, "\(result)")
            #expect(scratch.text("work/between") == "between\n")
            #expect(agent.alerts().isEmpty)
        }

        /// A tree whose calls wait by the hundred leaves room for those of others.
        @Test func waitingCallsOfATreeLeaveRoomForOthers() throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest.blockingFiles(scratch)
            let (pipe, other) = (scratch.path("work/pipe"), scratch.path("work/other"))
            for path in [pipe, other] { try Shell.check("mkfifo", path) }
            let script = """
                import os, sys, threading
                refused = threading.Semaphore(0)
                def writer():
                    try: os.close(os.open("\(pipe)", os.O_WRONLY))
                    except BlockingIOError: refused.release()
                for _ in range(300): threading.Thread(target=writer).start()
                for _ in range(172): refused.acquire()
                print("full", flush=True)
                """
            let greedy = try Background(
                [
                    scratch.binaries + "/portcullis", "run", "--socket", agent.socket, "--", "timeout", "120",
                    "python3", "-c", script,
                ],
                folder: scratch.outside)
            #expect(greedy.lines == ["full"], "\(greedy.text)")
            let reader = try Background(["timeout", "60", "cat", other], folder: scratch.outside, waits: false)
            let result = agent.tool("run", "--", "timeout", "60", "sh", "-c", "echo through > \(other)")
            #expect(result.status == 0, "\(result)")
            #expect(reader.wait() == 0 && reader.text == "through\n")
            let failures = agent.tool("status").output.split(separator: "\n").filter {
                $0.hasPrefix("calls-exhausted ")
            }
            #expect(failures.first?.split(separator: " ").last == "172", "\(failures)")
            #expect(agent.alerts().isEmpty)
            // They all come to their end when somebody reads.
            let descriptor = open(pipe, O_RDWR | O_NONBLOCK)
            defer { close(descriptor) }
            #expect(descriptor >= 0 && greedy.wait() == 0)
        }

        @Test func aCallThatIsKeptKeepsNoOther() throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest.blockingFiles(scratch)
            let (leased, between) = (scratch.path("work/leased"), scratch.path("work/between"))
            try "old\n".write(toFile: leased, atomically: false, encoding: .utf8)
            let file = try PathOpening.open(leased, flags: OpenFlags.readOnly)
            #expect(FileLease.takeRead(descriptor: file.raw) == 0)
            let seen = Mutex("")
            // Whoever opens it for writing waits for the lease. They are more than there are threads that serve trees.
            let holder = try KernelThread.start(name: "lease holder") {
                for _ in 0..<400 where !FileManager.default.fileExists(atPath: between) { usleep(10_000) }
                seen.withLock { $0 = (try? String(contentsOfFile: leased, encoding: .utf8)) ?? "" }
                _ = FileLease.release(descriptor: file.raw)
            }
            let script = """
                for i in $(seq 11 22); do (echo $i > \(leased)) & done
                sleep 0.3
                for i in $(seq 100); do echo $i > \(scratch.path("work/other")); done
                echo between > \(between); wait; echo done
                """
            let result = agent.tool("run", "--", "timeout", "60", "bash", "-c", script)
            holder.join()
            #expect(result.output == "done\n", "\(result)")
            #expect(seen.withLock { $0 } == "old\n")
            // All are as long as each other: whoever writes last covers what others wrote since it emptied the file.
            #expect((11...22).map { "\($0)\n" }.contains(scratch.text("work/leased") ?? ""))
            #expect(scratch.text("work/other") == "100\n")
        }

        @Test func aCallerInAnotherRootMeansItsOwnNames() throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest.blockingFiles(scratch)
            let victim = scratch.path("work/root/victim")
            try FileManager.default.createDirectory(
                atPath: scratch.path("work/root/prot"), withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: AgentUnderTest.binaries + "/portcullis-victim", toPath: victim)
            try FileManager.default.createSymbolicLink(
                atPath: scratch.path("work/root/abs"), withDestinationPath: "/prot/made")
            // The link is absolute: in the other root it leads to another place.
            let result = agent.tool(
                "run", "--", AgentUnderTest.binaries + "/portcullis-victim", "chroot-write", scratch.path("work/root"),
                "/abs")
            #expect(result.output == "ok\n", "\(result)")
            #expect(scratch.text("work/root/prot/made") == "OVERWRITTEN\n")
            #expect(agent.alerts().isEmpty)
            // From there what is protected is still known by its object.
            link(scratch.path("prot/secret"), scratch.path("work/root/alias"))
            let other = agent.tool(
                "run", "--", AgentUnderTest.binaries + "/portcullis-victim", "chroot-write", scratch.path("work/root"),
                "/../../alias")
            #expect(other.output == "errno 13 EACCES\n", "\(other)")
            agent.stop()
            #expect(scratch.text("prot/secret") == "SECRET\n")
        }

        @Test func theWorkersDeathLeavesNoCallUnansweredAndNothingWritten() throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest.blockingFiles(scratch)
            let script = """
                for i in $(seq 6000); do echo x > \(scratch.path("prot/secret")); : > \(scratch.path("work/f")); done 2>/dev/null
                echo done
                """
            let tree = Process()
            let output = Foundation.Pipe()
            tree.executableURL = URL(fileURLWithPath: AgentUnderTest.binaries + "/portcullis")
            tree.arguments = ["run", "--socket", agent.socket, "--", "bash", "-c", script]
            tree.standardOutput = output
            try tree.run()
            for _ in 0..<5 {
                AgentUnderTest.pause()
                if let worker = agent.pid(of: "worker") { kill(worker, SIGKILL) }
                Thread.sleep(forTimeInterval: 0.15)
            }
            tree.waitUntilExit()
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            #expect(text == "done\n")
            agent.stop()
            #expect(scratch.text("prot/secret") == "SECRET\n")
        }
    }
}
