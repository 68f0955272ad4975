import Foundation

/// What a race came to: printed, and written where `scripts/coverage` finds it (PORTCULLIS_FIGURES).
struct RaceFigures {
    enum Unit: String { case rounds, seconds }

    /// As `docs/bypasses.toml` has it.
    var name: String
    var unit = Unit.rounds
    /// How long the attacker tried, and how often it got through.
    var rounds: Int
    var won: Int
    /// The same of a supervisor that looks and lets go on.
    var controlRounds: Int
    var controlWon: Int

    func record() throws {
        let line = "\(name) \(unit.rawValue) \(rounds) \(won) \(controlRounds) \(controlWon)"
        print("race: \(line)")
        guard let path = ProcessInfo.processInfo.environment["PORTCULLIS_FIGURES"] else { return }
        if !FileManager.default.fileExists(atPath: path) {
            _ = FileManager.default.createFile(atPath: path, contents: nil)
        }
        guard let file = FileHandle(forWritingAtPath: path) else { throw ScratchError(text: "\(path) is not writable") }
        try file.seekToEnd()
        try file.write(contentsOf: Data((line + "\n").utf8))
        try file.close()
    }
}
