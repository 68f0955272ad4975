import Foundation
import Testing

extension KernelSuite {
    /// `portcullis run --policies`: rules that hold for one tree only, besides the host's.
    @Suite("Policies of a tree")
    struct TreePolicyTests {
        /// A container policy with `sections`, in which `@` is the scratch's root.
        private static func policy(_ sections: String, name: String = "ksp-own", action: String = "Block") -> String {
            """
            apiVersion: security.kubearmor.com/v1
            kind: KubeArmorPolicy
            metadata: {name: \(name), namespace: multiubuntu}
            spec:
              selector: {matchLabels: {container: ubuntu-1}}
              severity: 7
              message: "own rule"
              action: \(action)
            \(sections.split(separator: "\n").map { "  " + $0 }.joined(separator: "\n"))

            """
        }

        private func start(
            _ options: [String] = [],
            host: String = AgentUnderTest.policy(file: "matchPaths: [{path: \"@/prot/secret\"}]")
        ) throws -> (Scratch, AgentUnderTest) {
            let scratch = try Scratch()
            return (scratch, try AgentUnderTest(scratch, policies: ["p.yaml": host], options: options))
        }

        /// Puts a tree's policy where the tool finds it.
        private func own(_ scratch: Scratch, _ text: String, _ name: String = "own") throws -> String {
            let path = scratch.outside + "/\(name).yaml"
            try text.replacingOccurrences(of: "@", with: scratch.root)
                .write(toFile: path, atomically: true, encoding: .utf8)
            return path
        }

        private func tree(_ agent: AgentUnderTest, _ policy: String, _ words: String...) -> Shell.Result {
            agent.tool(["run", "--policies", policy, "--"] + words)
        }

        private func victim(_ agent: AgentUnderTest, _ policy: String, _ words: String...) -> Shell.Result {
            agent.tool(
                ["run", "--policies", policy, "--", AgentUnderTest.binaries + "/portcullis-victim"] + words)
        }

        private func expectAlert(
            _ agent: AgentUnderTest, _ operation: String, _ resource: String, enforcer: String,
            action: String = "Block",
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.count == 1, "\(alerts.map(\.fields))", sourceLocation: sourceLocation)
            #expect(alerts.first?["PolicyName"] == "ksp-own", sourceLocation: sourceLocation)
            #expect(alerts.first?["Type"] == "MatchedPolicy", sourceLocation: sourceLocation)
            #expect(alerts.first?["Message"] == "own rule", sourceLocation: sourceLocation)
            #expect(alerts.first?["Severity"] == "7", sourceLocation: sourceLocation)
            #expect(alerts.first?["Operation"] == operation, sourceLocation: sourceLocation)
            #expect(
                alerts.first?["Resource"]?.hasPrefix(resource) == true, "\(alerts.first?["Resource"] ?? "")",
                sourceLocation: sourceLocation)
            #expect(alerts.first?["Action"] == action, sourceLocation: sourceLocation)
            #expect(alerts.first?["Enforcer"] == enforcer, sourceLocation: sourceLocation)
        }

        @Test func aFileIsReadOutsideAndNotInTheTree() throws {
            let (scratch, agent) = try start()
            let policy = try own(scratch, Self.policy("file:\n  matchPaths: [{path: \"@/work/plain\"}]"))
            // Before the tree, and so perhaps in the kernel's cache.
            #expect(agent.run(["cat", scratch.path("work/plain")]).output == "PLAIN\n")
            let result = tree(agent, policy, "sh", "-c", "cat \(scratch.path("work/plain")); echo ended")
            #expect(result.output == "ended\n", "\(result)")
            #expect(result.error.contains("Operation not permitted"), "\(result)")
            expectAlert(agent, "File", scratch.path("work/plain"), enforcer: "fanotify")
            #expect(agent.run(["cat", scratch.path("work/plain")]).output == "PLAIN\n")
            #expect(agent.alerts().count == 1)
        }

        @Test func anOutsidersReadDoesNotOpenTheWayForTheTree() throws {
            let (scratch, agent) = try start()
            let policy = try own(scratch, Self.policy("file:\n  matchDirectories: [{dir: \"@/work/\"}]"))
            // While the tree lives: the outsider's permission must not be remembered for everybody.
            let script = """
                echo ready > \(scratch.path("bin/ready"))
                while [ ! -e \(scratch.path("bin/go")) ]; do sleep 0.02; done
                cat \(scratch.path("work/plain")) 2>/dev/null; echo "status $?"
                """
            let outsider = Process()
            outsider.executableURL = URL(fileURLWithPath: "/bin/sh")
            outsider.arguments = [
                "-c",
                """
                while [ ! -e \(scratch.path("bin/ready")) ]; do sleep 0.02; done
                cat \(scratch.path("work/plain")) \(scratch.path("work/plain")) > \(scratch.path("bin/seen"))
                touch \(scratch.path("bin/go"))
                """,
            ]
            try outsider.run()
            let result = tree(agent, policy, "timeout", "60", "sh", "-c", script)
            outsider.waitUntilExit()
            #expect(result.output == "status 1\n", "\(result)")
            #expect(scratch.text("bin/seen") == "PLAIN\nPLAIN\n")
            expectAlert(agent, "File", scratch.path("work/plain"), enforcer: "fanotify")
        }

        @Test func aProgramRunsOutsideAndNotInTheTree() throws {
            let (scratch, agent) = try start()
            let policy = try own(scratch, Self.policy("process:\n  matchPaths: [{path: \"@/bin/denied\"}]"))
            let (program, marker) = (scratch.path("bin/denied"), scratch.path("work/marker"))
            let result = tree(agent, policy, "sh", "-c", "\(program) \(marker); echo $?")
            #expect(result.output == "126\n", "\(result)")
            #expect(scratch.text("work/marker") == nil)
            expectAlert(agent, "Process", program, enforcer: "fanotify")
            #expect(agent.run([program, marker]).status == 0)
            #expect(scratch.text("work/marker") == "")
        }

        @Test func aNameIsNotTakenInTheTree() throws {
            let (scratch, agent) = try start()
            let policy = try own(
                scratch, Self.policy("file:\n  matchDirectories: [{dir: \"@/work/\", readOnly: true}]"))
            let result = tree(agent, policy, "mv", scratch.path("work/plain"), scratch.path("bin/moved"))
            #expect(result.error.contains("Permission denied"), "\(result)")
            #expect(scratch.text("work/plain") == "PLAIN\n")
            expectAlert(agent, "File", scratch.path("work/plain"), enforcer: "seccomp")
            #expect(agent.run(["mv", scratch.path("work/plain"), scratch.path("bin/moved")]).status == 0)
        }

        @Test func aProtocolIsNotSpokenInTheTree() throws {
            let (scratch, agent) = try start()
            let policy = try own(scratch, Self.policy("network:\n  matchProtocols: [{protocol: udp}]"))
            #expect(victim(agent, policy, "socket", "2", "2", "0").output == "errno 13 EACCES\n")
            expectAlert(agent, "Network", "protocol=UDP type=SOCK_DGRAM", enforcer: "seccomp")
            #expect(victim(agent, policy, "socket", "2", "1", "0").output == "ok\n")
            #expect(
                agent.tool(["run", "--", AgentUnderTest.binaries + "/portcullis-victim", "socket", "2", "2", "0"])
                    .output == "ok\n")
            #expect(agent.alerts().count == 1)
        }

        @Test func theHostsRulesHoldToo() throws {
            let (scratch, agent) = try start()
            let policy = try own(
                scratch, Self.policy("file:\n  matchPaths: [{path: \"@/work/plain\"}]", action: "Allow"))
            let result = tree(
                agent, policy, "sh", "-c", "cat \(scratch.path("prot/secret")); cat \(scratch.path("work/plain"))")
            #expect(result.output == "PLAIN\n", "\(result)")
            let alerts = agent.alerts(atLeast: 1) { $0["Action"] == "Block" }
            #expect(alerts.map { $0["PolicyName"] } == ["p"])
        }

        @Test func anAllowListIsTheTreesOnly() throws {
            let (scratch, agent) = try start(["--file-posture", "block"])
            // What every program needs, and one directory of two.
            let policy = try own(
                scratch,
                Self.policy(
                    "file:\n  matchDirectories: [{dir: /usr/, recursive: true}, {dir: /etc/, recursive: true}, {dir: /dev/, recursive: true}, {dir: /proc/, recursive: true}, {dir: \"@/work/\"}]",
                    action: "Allow"))
            let result = tree(
                agent, policy, "/bin/sh", "-c", "cat \(scratch.path("work/plain")) \(scratch.path("bin/allowed"))")
            #expect(result.output == "PLAIN\n", "\(result)")
            let alerts = agent.alerts(atLeast: 1) { $0["Resource"] == scratch.path("bin/allowed") }
            #expect(alerts.map { $0["PolicyName"] } == ["DefaultPosture"])
            #expect(agent.run(["test", "-r", scratch.path("bin/allowed")]).status == 0)
            #expect(agent.run(["cat", scratch.path("bin/allowed")]).status == 0)
        }

        @Test func eachTreeHasItsOwn() throws {
            let (scratch, agent) = try start()
            try scratch.write("work/a", "A\n")
            try scratch.write("work/b", "B\n")
            let script = """
                for i in $(seq 50); do cat \(scratch.path("work/a")) \(scratch.path("work/b")) 2>/dev/null; done | sort | uniq -c | tr -d ' '
                """
            var trees: [Process] = []
            var outputs: [Pipe] = []
            for name in ["a", "b"] {
                let policy = try own(
                    scratch, Self.policy("file:\n  matchPaths: [{path: \"@/work/\(name)\"}]", name: "own-\(name)"), name
                )
                let process = Process()
                let output = Pipe()
                process.executableURL = URL(fileURLWithPath: AgentUnderTest.binaries + "/portcullis")
                process.arguments = [
                    "run", "--policies", policy, "--socket", agent.socket, "--", "sh", "-c", script,
                ]
                process.standardOutput = output
                try process.run()
                trees.append(process)
                outputs.append(output)
            }
            let texts = outputs.map { String(decoding: $0.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self) }
            trees.forEach { $0.waitUntilExit() }
            #expect(texts == ["50B\n", "50A\n"])
            let alerts = agent.alerts(atLeast: 100)
            for name in ["a", "b"] {
                let own = alerts.filter { $0["PolicyName"] == "own-\(name)" }
                #expect(own.count == 50)
                #expect(own.allSatisfy { $0["Resource"] == scratch.path("work/\(name)") })
            }
        }

        @Test func anEndedTreesRulesAreGone() throws {
            // The tree asks the agent itself.
            let (scratch, agent) = try start(["--on-failure", "manager-asked=allow"])
            let policy = try own(scratch, Self.policy("file:\n  matchPaths: [{path: \"@/work/plain\"}]"))
            let inside = tree(
                agent, policy, agent.place.binaries + "/portcullis", "status", "--json", "--socket", agent.socket)
            #expect(inside.output.contains("ksp-own"), "\(inside)")
            let saved = agent.directory + "/state/trees"
            let end = Date().addingTimeInterval(Effort.patience(60))
            while agent.tool("status", "--json").output.contains("ksp-own"), Date() < end { AgentUnderTest.pause() }
            #expect(!agent.tool("status", "--json").output.contains("ksp-own"))
            #expect(try FileManager.default.contentsOfDirectory(atPath: saved).isEmpty)
        }

        @Test(arguments: ["worker", "front"]) func theyOutliveA(role: String) throws {
            let (scratch, agent) = try start()
            let policy = try own(scratch, Self.policy("file:\n  matchPaths: [{path: \"@/work/plain\"}]"))
            let script = """
                for i in $(seq 60); do cat \(scratch.path("work/plain")) 2>/dev/null; echo x 2>/dev/null > \(scratch.path("work/plain")); sleep 0.02; done; echo ended
                """
            let process = Process()
            let output = Pipe()
            process.executableURL = URL(fileURLWithPath: AgentUnderTest.binaries + "/portcullis")
            process.arguments = ["run", "--policies", policy, "--socket", agent.socket, "--", "sh", "-c", script]
            process.standardOutput = output
            process.standardError = FileHandle.nullDevice
            try process.run()
            // A tree that is being started needs both.
            let started = Date().addingTimeInterval(90)
            while !agent.tool("status", "--json").output.contains("\"supervised-trees\":1"), Date() < started {
                AgentUnderTest.pause()
            }
            for _ in 0..<3 {
                Thread.sleep(forTimeInterval: 0.3)
                if let pid = agent.pid(of: role) { kill(pid, SIGKILL) }
            }
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            #expect(text == "ended\n")
            #expect(scratch.text("work/plain") == "PLAIN\n")
            // They go with the tree, whoever noticed its end.
            let end = Date().addingTimeInterval(Effort.patience(60))
            while agent.tool("status", "--json").output.contains("ksp-own"), Date() < end { AgentUnderTest.pause() }
            let status = agent.tool("status", "--json").output
            #expect(status.contains("\"rules\""), "\(status)")
            #expect(!status.contains("ksp-own"))
        }

        @Test func noForbiddenOpenSucceedsWhileTheWorkerIsKilled() throws {
            let (scratch, agent) = try start()
            let policy = try own(scratch, Self.policy("file:\n  matchPaths: [{path: \"@/work/plain\"}]"))
            let (text, kills) = try agent.hammer(
                ["--policies", policy], scratch.path("work/plain"), Effort.times(10000))
            #expect(text == "succeeded 0 refused \(Effort.times(10000))\n", "\(kills) kills")
            // Some came while there was no worker, and the next one decided them.
            let status = agent.tool("status", "--json").output
            #expect(
                kills > (Effort.isReduced ? 0 : 3) && !status.contains("\"adopted-events\":0,"),
                "\(kills) kills, \(status)")
        }

        @Test func aPolicyThatDoesNotLoadStartsNothing() throws {
            let (scratch, agent) = try start()
            let policy = try own(scratch, Self.policy("file:\n  matchPaths: [{pth: /x}]"))
            let result = tree(agent, policy, "touch", scratch.path("work/marker"))
            #expect(result.status == 1)
            #expect(result.error.contains("own.yaml:10:"), "\(result)")
            #expect(scratch.text("work/marker") == nil)
        }

        @Test func theHostsNameIsNotTheTreesToChange() throws {
            let (scratch, agent) = try start()
            let policy = try own(scratch, Self.policy("file:\n  matchPaths: [{path: \"@/work/plain\"}]"))
            let before = agent.run(["hostname"]).output
            let result = tree(
                agent, policy, "sh", "-c", "hostname; hostname other; hostname; echo third > /proc/sys/kernel/hostname")
            #expect(result.output == before + "other\n", "\(result)")
            #expect(agent.run(["hostname"]).output == before)
        }

        @Test func aTreeCannotLeaveByANewNamespace() throws {
            let (scratch, agent) = try start()
            let policy = try own(scratch, Self.policy("process:\n  matchPaths: [{path: \"@/bin/denied\"}]"))
            let marker = scratch.path("work/marker")
            for words in [["unshare", "-u"], ["nsenter", "-u", "-t", "1"], ["unshare", "-Ur"]] {
                let result = agent.tool(
                    ["run", "--policies", policy, "--"] + words + [scratch.path("bin/denied"), marker])
                #expect(result.status != 0, "\(result)")
                #expect(scratch.text("work/marker") == nil)
            }
        }
    }
}
