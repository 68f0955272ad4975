import ClientSupport
import ArgumentParser
import ControlProtocol

/// `portcullis version`
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Prints the version of this tool; the agent's is in `status`.")

    @OptionGroup var output: OutputOptions

    func run() throws {
        guard output.json else { return try StandardStreams.write("portcullis \(ReleaseVersion.text)") }
        try StandardStreams.write(json: ["version": ReleaseVersion.text])
    }
}
