import Foundation
import Testing

extension KernelSuite {
    /// B23: the path changes in memory while the call waits for its verdict.
    @Suite("B23")
    struct B23PointerRaceTests {
        @Test func aPathThatChangesMeanwhileOpensNothingForbidden() throws {
            try PointerRace(name: "open", scratch: Scratch(), options: []).open()
        }

        @Test(arguments: ["program", "script"]) func aNameThatChangesMeanwhileRunsNothingForbidden(
            kind: String
        ) throws {
            try PointerRace(name: "execute-\(kind)", scratch: Scratch(), options: AgentMode.callsOnly.options)
                .execute(kind)
        }
    }

    /// The same, with an agent and a tree of a user without privileges.
    @Suite("B23 rootless")
    struct B23RootlessRaceTests {
        @Test func aPathThatChangesMeanwhileOpensNothingForbidden() throws {
            try PointerRace(
                name: "rootless-open", scratch: Scratch(ownedBy: Scratch.user), options: ["--rootless"]
            ).open()
        }

        @Test(arguments: ["program", "script"]) func aNameThatChangesMeanwhileRunsNothingForbidden(
            kind: String
        ) throws {
            try PointerRace(
                name: "rootless-execute-\(kind)", scratch: Scratch(ownedBy: Scratch.user), options: ["--rootless"]
            ).execute(kind)
        }
    }
}

/// One attacker, against a supervisor that looks and lets go on, and against the agent.
private struct PointerRace {
    let name: String
    let scratch: Scratch
    let options: [String]

    private static let victim = AgentUnderTest.binaries + "/portcullis-victim"
    private static let rounds = 20_000
    private static let (controlSeconds, seconds) = (3, 10)

    /// Opens a file for writing by a name that another thread exchanges.
    func open() throws {
        try scratch.write("work/harmle", "PLAIN\n")
        if !scratch.enter.isEmpty { try Shell.check("chown", Scratch.user, scratch.path("work/harmle")) }
        let words = [scratch.path("work/harmle"), scratch.path("prot/secret"), "\(Self.rounds)"]
        // The same attacker beats a supervisor that looks and lets go on.
        let control = try control(2, each: Self.rounds) {
            Shell.run(scratch.enter + ["timeout", "120", Self.victim, "race-control"] + words)
        }
        let agent = try AgentUnderTest(
            scratch,
            policies: [
                "p.yaml": AgentUnderTest.policy(file: "matchPaths: [{path: \"@/prot/secret\", readOnly: true}]")
            ], options: options)
        let race = try counts(agent.tool(["run", "--", "timeout", "120", Self.victim, "race"] + words), 2)
        let (opened, won) = (race[0], race[1])
        #expect(won == 0)
        #expect(opened > 0 && opened < Self.rounds)
        agent.stop()
        #expect(scratch.text("prot/secret") == "SECRET\n")
        try RaceFigures(
            name: name, rounds: Self.rounds, won: won, controlRounds: control.rounds, controlWon: control.won
        ).record()
    }

    /// Executes a program by a name that another thread exchanges.
    func execute(_ kind: String) throws {
        let (allowed, forbidden) = (scratch.path("bin/run-a"), scratch.path("bin/run-b"))
        for (path, source, code) in [(allowed, "/bin/true", 0), (forbidden, "/bin/false", 1)] {
            if kind == "program" {
                try FileManager.default.copyItem(atPath: source, toPath: path)
            } else {
                try "#!/bin/sh\nexit \(code)\n".write(toFile: path, atomically: false, encoding: .utf8)
            }
            chmod(path, 0o755)
        }
        let control = try control(3, each: Self.controlSeconds) {
            Shell.run(
                scratch.enter + [
                    "timeout", "60", Self.victim, "race-exec-control", allowed, forbidden, "\(Self.controlSeconds)",
                ])
        }
        let agent = try AgentUnderTest(
            scratch,
            policies: ["p.yaml": AgentUnderTest.policy(process: "matchPaths: [{path: \"@/bin/run-b\"}]")],
            options: options)
        let race = try counts(
            agent.tool(
                ["run", "--", "timeout", "60", Self.victim, "race-exec", allowed, forbidden, "\(Self.seconds)"]), 3)
        #expect(race[1] == 0, "\(race)")
        // Both were met: what is allowed, and what is refused.
        #expect(race[0] > 0 && race[2] > 0, "\(race)")
        let alerts = agent.alerts(atLeast: 1)
        #expect(alerts.allSatisfy { $0["Action"] == "Block" && $0["Operation"] == "Process" })
        try RaceFigures(
            name: name, unit: .seconds, rounds: Self.seconds, won: race[1], controlRounds: control.rounds,
            controlWon: control.won
        ).record()
    }

    /// Runs the control until it has won, which takes the more rounds the busier the machine is.
    private func control(_ expected: Int, each: Int, _ run: () -> Shell.Result) throws -> (rounds: Int, won: Int) {
        for attempt in 1...20 {
            let won = try counts(run(), expected)[1]
            if won > 0 { return (attempt * each, won) }
        }
        Issue.record("the control wins nothing")
        return (20 * each, 0)
    }

    /// The numbers that the victim printed, each after a word.
    private func counts(_ result: Shell.Result, _ expected: Int) throws -> [Int] {
        let words = result.output.split(whereSeparator: \.isWhitespace)
        let numbers = words.enumerated().compactMap { $0.offset % 2 == 1 ? Int($0.element) : nil }
        try #require(numbers.count == expected && words.count == 2 * expected, "\(result)")
        return numbers
    }
}
