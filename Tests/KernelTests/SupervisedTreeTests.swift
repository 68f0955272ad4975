import Foundation
import Testing

extension KernelSuite {
    /// `portcullis run`: what fanotify has no event for is decided by system call.
    @Suite("Supervised trees")
    struct SupervisedTreeTests {
        private static let tcp = AgentUnderTest.policy(network: "matchProtocols: [{protocol: tcp}]")
        private static let stream = ["2", "1", "0"]

        private func start(_ policy: String = tcp) throws -> (Scratch, AgentUnderTest) {
            let scratch = try Scratch()
            return (scratch, try AgentUnderTest(scratch, policies: ["p.yaml": policy]))
        }

        /// A victim in a tree of its own.
        private func supervised(_ agent: AgentUnderTest, _ arguments: String...) -> Shell.Result {
            agent.tool(["run", "--", AgentUnderTest.binaries + "/portcullis-victim"] + arguments)
        }

        private func expectBlocked(
            _ agent: AgentUnderTest, _ result: Shell.Result, resource: String, alerts count: Int = 1,
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            #expect(result.output == "errno 13 EACCES\n", "\(result)", sourceLocation: sourceLocation)
            let alerts = agent.alerts(atLeast: count)
            #expect(alerts.count == count, "\(alerts.map(\.fields))", sourceLocation: sourceLocation)
            #expect(alerts.last?["PolicyName"] == "p", sourceLocation: sourceLocation)
            #expect(alerts.last?["Operation"] == "Network", sourceLocation: sourceLocation)
            #expect(alerts.last?["Resource"] == resource, sourceLocation: sourceLocation)
            #expect(alerts.last?["Data"] == "lsm=SOCKET_CREATE \(resource)", sourceLocation: sourceLocation)
            #expect(alerts.last?["Action"] == "Block", sourceLocation: sourceLocation)
            #expect(alerts.last?["Result"] == "Permission denied", sourceLocation: sourceLocation)
            #expect(alerts.last?["Enforcer"] == "seccomp", sourceLocation: sourceLocation)
            #expect(
                alerts.last?["ProcessName"]?.hasSuffix("/portcullis-victim") == true, sourceLocation: sourceLocation)
        }

        @Test(arguments: [["2", "1", "0"], ["10", "1", "6"], ["2", "526337", "0"], ["2", "1", "262"]])
        func aBlockedProtocolHasNoSocket(registers: [String]) throws {
            let (_, agent) = try start()
            expectBlocked(
                agent, supervised(agent, "socket", registers[0], registers[1], registers[2]),
                resource: "protocol=TCP type=SOCK_STREAM")
        }

        @Test(arguments: [["2", "2", "0"], ["1", "1", "0"], ["16", "3", "0"]])
        func otherSocketsAreNobodysBusiness(registers: [String]) throws {
            let (_, agent) = try start()
            #expect(supervised(agent, "socket", registers[0], registers[1], registers[2]).output == "ok\n")
            #expect(agent.alerts().isEmpty)
            #expect(agent.tool("status", "--json").output.contains("\"calls\":0"))
        }

        @Test func outsideOfATreeTheRuleIsAGap() throws {
            let (_, agent) = try start()
            #expect(agent.victim("socket", "2", "1", "0").output == "ok\n")
            #expect(agent.log.contains("p: network: "))
        }

        @Test func b21AGrandchildInASessionOfItsOwnIsStillInTheTree() throws {
            let (_, agent) = try start()
            expectBlocked(
                agent, supervised(agent, "daemon-socket", "2", "1", "0"), resource: "protocol=TCP type=SOCK_STREAM")
        }

        @Test func anAuditedProtocolIsReportedAndPasses() throws {
            let (_, agent) = try start(
                AgentUnderTest.policy(network: "matchProtocols: [{protocol: tcp}]", action: "Audit"))
            #expect(supervised(agent, "socket", "2", "1", "0").output == "ok\n")
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.count == 1)
            #expect(alerts.first?["Resource"] == "domain=AF_INET type=SOCK_STREAM protocol=HOPOPT")
            #expect(alerts.first?["Data"] == "syscall=SYS_SOCKET")
            #expect(alerts.first?["Action"] == "Audit")
            #expect(alerts.first?["Result"] == "Passed")
        }

        @Test func fromSourceIsTheProcessOwnExecutable() throws {
            let scratch = try Scratch()
            let other = scratch.path("bin/other")
            try FileManager.default.copyItem(atPath: scratch.binaries + "/portcullis-victim", toPath: other)
            let agent = try AgentUnderTest(
                scratch,
                policies: [
                    "p.yaml": AgentUnderTest.policy(
                        network: "matchProtocols: [{protocol: tcp, fromSource: [{path: \"@/bin/other\"}]}]")
                ])
            #expect(supervised(agent, "socket", "2", "1", "0").output == "ok\n")
            #expect(agent.tool(["run", "--", other, "socket", "2", "1", "0"]).output == "errno 13 EACCES\n")
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.count == 1)
            #expect(alerts.first?["ProcessName"] == other)
        }

        @Test func theProgramEndsAsItWould() throws {
            let (_, agent) = try start()
            #expect(agent.tool("run", "--", "sh", "-c", "exit 7").status == 7)
            #expect(agent.tool("run", "--", "sh", "-c", "kill -KILL $$").status == 128 + 9)
            #expect(agent.tool("run", "--", "sh", "-c", "cat", input: "in\n").output == "in\n")
            let missing = agent.tool("run", "--", "/nonexistent/program")
            #expect(missing.status == 1)
            #expect(missing.error == "portcullis: /nonexistent/program: No such file or directory\n")
            #expect(agent.tool("run", "--", "nonexistent-program").error.contains("command not found"))
            #expect(agent.tool("run").status == 2)
        }

        @Test func anEndedTreeLeavesNothingBehind() throws {
            let (_, agent) = try start()
            #expect(supervised(agent, "socket", "1", "1", "0").output == "ok\n")
            let end = Date().addingTimeInterval(Effort.patience(60))
            while !agent.tool("status", "--json").output.contains("\"supervised-trees\":0") && Date() < end {
                AgentUnderTest.pause()
            }
            #expect(agent.tool("status", "--json").output.contains("\"supervised-trees\":0"))
            for role in ["guardian", "worker"] {
                let pid = try #require(agent.pid(of: role))
                let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").filter {
                    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\($0)"))?
                        .contains("seccomp") == true
                }
                #expect(descriptors.isEmpty, "\(role)")
            }
        }

        @Test func b27NoForbiddenSocketIsMadeWhileTheWorkerIsKilled() throws {
            let (_, agent) = try start()
            let victim = Process()
            let output = Pipe()
            victim.executableURL = URL(fileURLWithPath: AgentUnderTest.binaries + "/portcullis")
            victim.arguments = [
                "run", "--socket", agent.socket, "--", AgentUnderTest.binaries + "/portcullis-victim", "hammer-socket",
                "2", "1", "0", "\(Effort.times(20000))",
            ]
            victim.standardOutput = output
            try victim.run()
            var kills = 0
            while victim.isRunning, kills < 200 {
                if let pid = agent.pid(of: "worker"), kill(pid, SIGKILL) == 0 { kills += 1 }
                Thread.sleep(forTimeInterval: 0.05)
            }
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            victim.waitUntilExit()
            #expect(text == "succeeded 0 refused \(Effort.times(20000))\n")
            #expect(kills > (Effort.isReduced ? 0 : 3), "\(kills)")
        }

        @Test func b30NothingOfTheProgramRunsBeforeTheTreeIsSupervised() throws {
            let (_, agent) = try start()
            for round in 1...20 {
                expectBlocked(
                    agent, supervised(agent, "socket", "2", "1", "0"), resource: "protocol=TCP type=SOCK_STREAM",
                    alerts: round)
            }
        }
    }
}
