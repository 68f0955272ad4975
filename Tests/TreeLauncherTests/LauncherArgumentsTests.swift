import ControlProtocol
import Testing

@testable import TreeLauncher

@Suite("The launcher's command line")
struct LauncherArgumentsTests {
    @Test func optionsEndWithTheProgram() {
        let words = [
            "--policies", "/a", "--landlock", "--socket", "/s", "--policies", "--", "--", "prog", "--socket", "--", "x",
        ]
        #expect(
            LauncherArguments.parse(words)
                == .launch(
                    LauncherArguments(
                        socket: "/s", policies: ["/a", "--"], landlock: true, command: ["prog", "--socket", "--", "x"]))
        )
    }

    @Test(arguments: [
        ([], "Missing the program, after --"), (["--"], "Missing the program, after --"),
        (["--socket"], "Missing the value of --socket"), (["--policies"], "Missing the value of --policies"),
        (["prog"], "Unknown option prog; a program comes after --"),
        (["--socket=/s", "--", "x"], "Unknown option --socket=/s; a program comes after --"),
    ])
    func refuses(_ words: [String], _ problem: String) {
        #expect(LauncherArguments.parse(words) == .wrong(problem))
    }

    @Test func showsItsVersion() { #expect(LauncherArguments.parse(["--version"]) == .show(ReleaseVersion.text)) }
}
