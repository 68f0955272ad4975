import Foundation
import Testing

extension KernelSuite {
    /// B23: the path changes in memory while the call waits for its verdict.
    @Suite("B23")
    struct B23PointerRaceTests {
        /// What the race said: how often it opened something, and how often the forbidden file.
        private func counts(_ result: Shell.Result) throws -> (opened: Int, won: Int) {
            let words = result.output.split(separator: " ").map { $0.trimmingCharacters(in: .newlines) }
            try #require(words.count == 4, "\(result)")
            return (try #require(Int(words[1])), try #require(Int(words[3])))
        }

        @Test func aPathThatChangesMeanwhileOpensNothingForbidden() throws {
            let scratch = try Scratch()
            try scratch.write("work/harmle", "PLAIN\n")
            let words = [scratch.path("work/harmle"), scratch.path("prot/secret"), "20000"]
            let victim = AgentUnderTest.binaries + "/portcullis-victim"
            // The same attacker beats a supervisor that looks and lets go on.
            let control = try counts(Shell.run(["timeout", "120", victim, "race-control"] + words))
            #expect(control.won > 0)
            let agent = try AgentUnderTest.blockingFiles(
                scratch, "matchPaths: [{path: \"@/prot/secret\", readOnly: true}]")
            let race = try counts(agent.tool(["run", "--", "timeout", "120", victim, "race"] + words))
            #expect(race.won == 0)
            #expect(race.opened > 0 && race.opened < 20000)
            agent.stop()
            #expect(scratch.text("prot/secret") == "SECRET\n")
        }

        /// Allowed, won and refused executions.
        private func executions(_ result: Shell.Result) throws -> (allowed: Int, won: Int, refused: Int) {
            let words = result.output.split(whereSeparator: \.isWhitespace).map(String.init)
            try #require(words.count == 6, "\(result)")
            return (try #require(Int(words[1])), try #require(Int(words[3])), try #require(Int(words[5])))
        }

        @Test(arguments: ["program", "script"]) func aNameThatChangesMeanwhileRunsNothingForbidden(
            kind: String
        ) throws {
            let scratch = try Scratch()
            let (allowed, forbidden) = (scratch.path("bin/run-a"), scratch.path("bin/run-b"))
            for (path, source, code) in [(allowed, "/bin/true", 0), (forbidden, "/bin/false", 1)] {
                if kind == "program" {
                    try FileManager.default.copyItem(atPath: source, toPath: path)
                } else {
                    try "#!/bin/sh\nexit \(code)\n".write(toFile: path, atomically: false, encoding: .utf8)
                }
                chmod(path, 0o755)
            }
            let victim = AgentUnderTest.binaries + "/portcullis-victim"
            let control = try executions(
                Shell.run(["timeout", "60", victim, "race-exec-control", allowed, forbidden, "3"]))
            #expect(control.won > 0)
            let agent = try AgentUnderTest(
                scratch,
                policies: ["p.yaml": AgentUnderTest.policy(process: "matchPaths: [{path: \"@/bin/run-b\"}]")],
                options: AgentMode.callsOnly.options)
            let race = try executions(
                agent.tool(["run", "--", "timeout", "60", victim, "race-exec", allowed, forbidden, "10"]))
            #expect(race.won == 0, "\(race)")
            #expect(race.allowed > 0 && race.refused > 0, "\(race)")
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.allSatisfy { $0["Action"] == "Block" && $0["Operation"] == "Process" })
        }
    }
}
