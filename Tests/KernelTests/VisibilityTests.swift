import Foundation
import Testing

extension KernelSuite {
    /// What no rule is about is told of where it is to be seen, and can be turned into policies.
    @Suite("Visibility")
    struct VisibilityTests {
        private func start(
            _ options: [String], policies: [String: String] = [:]
        ) throws -> (Scratch, AgentUnderTest, server: String) {
            let scratch = try Scratch()
            let socket = scratch.agentDirectory + "/run/grpc.sock"
            let agent = try AgentUnderTest(scratch, policies: policies, options: ["--grpc-socket", socket] + options)
            let end = Date().addingTimeInterval(60)
            while ForeignClient.ask(["unix:" + socket, "health", "1"])["Retval"] == nil, Date() < end {
                AgentUnderTest.pause()
            }
            return (scratch, agent, "unix:" + socket)
        }

        /// Asks the gateway for what has happened so far, until the answer is what it has to become.
        private func ask(
            _ agent: AgentUnderTest, _ arguments: [String], until isDone: (String) -> Bool
        ) -> Shell.Result {
            let end = Date().addingTimeInterval(90)
            while true {
                let result = Shell.run(
                    [agent.place.binaries + "/portcullis"] + arguments + ["--all", "--seconds", "2"])
                if isDone(result.output) || Date() > end { return result }
            }
        }

        @Test func opensAndExecutionsOfTheHostAreTold() throws {
            let scratchOptions = ["--host-visibility", "process,file"]
            let scratch = try Scratch()
            let socket = scratch.agentDirectory + "/run/grpc.sock"
            let agent = try AgentUnderTest(
                scratch, policies: ["p.yaml": AgentUnderTest.policy(file: AgentUnderTest.protectedTree)],
                options: ["--grpc-socket", socket, "--visible-path", scratch.root] + scratchOptions)
            let end = Date().addingTimeInterval(60)
            while ForeignClient.ask(["unix:" + socket, "health", "1"])["Retval"] == nil, Date() < end {
                AgentUnderTest.pause()
            }
            let client = try ForeignClient(["unix:" + socket, "watch", "logs", "2"], folder: scratch.outside)
            #expect(agent.victim("read", scratch.path("work/plain")).output.contains("PLAIN"))
            _ = agent.run([scratch.path("bin/allowed"), scratch.path("work/made")])
            let logs = client.records()
            #expect(logs.count == 2, "\(logs)")
            #expect(logs.first?["Type"] as? String == "HostLog" && logs.first?["Operation"] as? String == "File")
            #expect(logs.first?["Resource"] as? String == scratch.path("work/plain"))
            #expect(logs.first?["Result"] as? String == "Passed" && logs.first?["Action"] == nil)
            #expect((logs.first?["Data"] as? String)?.hasPrefix("syscall=SYS_OPEN") == true)
            #expect(logs.last?["Operation"] as? String == "Process")
            #expect(logs.last?["ProcessName"] as? String == scratch.path("bin/allowed"))
            // What a rule is about is an alert, and no log besides.
            let denied = agent.victim("read", scratch.path("prot/secret"))
            #expect(denied.output.contains("EPERM"), "\(denied)")
            #expect(agent.alerts(atLeast: 1).count == 1)
        }

        @Test func nothingIsToldUnlessItIsAskedFor() throws {
            let (scratch, agent, server) = try start([])
            #expect(agent.victim("read", scratch.path("work/plain")).output.contains("PLAIN"))
            let seen = ask(agent, ["profile", "--json", "--server", server]) { _ in true }
            #expect(seen.status == 0 && seen.output.trimmingCharacters(in: .whitespacesAndNewlines) == "[]", "\(seen)")
        }

        /// A policy made from a run lets the same run pass, and stops what was not part of it.
        @Test func aRecommendationPermitsWhatWasSeenAndNoMore() throws {
            let (scratch, agent, server) = try start([
                "--calls-only", "--host-visibility", "process,file,network", "--file-posture", "block",
                "--network-posture", "block",
            ])
            let script =
                "/bin/cat \(scratch.path("work/plain")) && /bin/cp \(scratch.path("work/plain")) \(scratch.path("work/copy"))"
            let run = agent.tool("run", "--", "/bin/sh", "-c", script)
            #expect(run.status == 0 && run.output == "PLAIN\n", "\(run)")
            // The last thing that the run did: then everything before it was seen, too.
            let seen = ask(agent, ["recommend", "--server", server, "--name", "learned"]) {
                $0.contains("path: \"\(scratch.path("work/copy"))\"")
            }
            #expect(seen.status == 0 && seen.error.isEmpty, "\(seen)")
            let policy = scratch.outside + "/learned.yaml"
            try seen.output.write(toFile: policy, atomically: true, encoding: .utf8)
            #expect(Shell.run(agent.place.binaries + "/portcullis", "check", policy).status == 0)
            try FileManager.default.removeItem(atPath: scratch.path("work/copy"))
            let before = agent.alerts().count

            let again = agent.tool(["run", "--policies", policy, "--", "/bin/sh", "-c", script])
            #expect(again.status == 0 && again.output == "PLAIN\n", "\(again)")
            #expect(scratch.text("work/copy") == "PLAIN\n")
            #expect(agent.alerts().count == before, "\(agent.alerts().map(\.fields))")

            let other = agent.tool([
                "run", "--policies", policy, "--", "/bin/sh", "-c", "/bin/cat \(scratch.path("prot/secret"))",
            ])
            #expect(other.status != 0 && !other.output.contains("SECRET"), "\(other)")
            #expect(other.error.contains("Permission denied"), "\(other)")
            let alerts = agent.alerts(atLeast: before + 1).dropFirst(before)
            #expect(
                alerts.count == 1 && alerts.first?["Resource"] == scratch.path("prot/secret"), "\(alerts.map(\.fields))"
            )
            #expect(alerts.first?["PolicyName"] == "DefaultPosture" && alerts.first?["Action"] == "Block")

            let write = agent.tool([
                "run", "--policies", policy, "--", "/bin/sh", "-c",
                "/bin/cp \(scratch.path("work/plain")) \(scratch.path("work/new"))",
            ])
            #expect(write.status != 0 && scratch.text("work/new") == nil, "\(write)")
            let socket = agent.tool([
                "run", "--policies", policy, "--", agent.place.binaries + "/portcullis-victim", "socket", "inet",
                "stream", "0",
            ])
            #expect(socket.status != 0, "\(socket)")
        }

        @Test func aProfileCountsWhatWasDone() throws {
            let (scratch, agent, server) = try start(["--calls-only", "--host-visibility", "process,file,network"])
            for _ in 0..<3 { #expect(agent.tool("run", "--", "/bin/cat", scratch.path("work/plain")).status == 0) }
            func count(_ text: String) -> Int? {
                let entries = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]]
                return entries?.first { $0["object"] as? String == scratch.path("work/plain") }?["count"] as? Int
            }
            let seen = ask(agent, ["profile", "--server", server, "--json"]) { count($0) == 3 }
            let entries = try #require(
                try JSONSerialization.jsonObject(with: Data(seen.output.utf8)) as? [[String: Any]])
            let file = entries.first { $0["object"] as? String == scratch.path("work/plain") }
            #expect(file?["count"] as? Int == 3 && file?["process"] as? String == "/usr/bin/cat", "\(entries)")
            #expect(
                entries.contains {
                    $0["operation"] as? String == "Process" && $0["object"] as? String == "/usr/bin/cat"
                })
        }
    }
}
