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
    }
}
