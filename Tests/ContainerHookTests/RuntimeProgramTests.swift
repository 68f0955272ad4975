import Foundation
import PlainJSON
import Testing

@testable import ContainerHook

@Suite("In the place of a runtime")
struct RuntimeProgramTests {
    private static let hooks = BundleHooks(
        program: "/usr/libexec/portcullis/portcullis-hook", options: ["--timeout", "3"])

    private func added(_ text: String) throws -> JSONText? {
        try Self.hooks.adding(to: Array(text.utf8)).map { try #require(JSONText(parsing: $0)) }
    }

    private static let ours = [
        #"{"args":["portcullis-hook"],"path":"/first"}"#,
        #"{"args":["/usr/libexec/portcullis/portcullis-hook","createRuntime","--timeout","3"],"path":"/usr/libexec/portcullis/portcullis-hook"}"#,
    ]

    @Test(
        arguments: [
            // As containerd, runc and crun are called by engines and by people.
            (
                [
                    "--root", "/r", "--log", "/l", "--log-format", "json", "create", "--bundle", "/b", "--pid-file",
                    "/p", "id",
                ], "/b/config.json"
            ),
            (["--root=/r", "--systemd-cgroup", "create", "-b", "/b", "id"], "/b/config.json"),
            (["--debug", "run", "--bundle=/b", "id"], "/b/config.json"),
            (["-root", "run", "create", "-bundle", "/b", "id"], "/b/config.json"),
            (["run", "id"], "./config.json"), (["create", "id"], "./config.json"),
            (["restore", "--image-path", "/i", "--bundle", "/b", "id"], "/b/config.json"),
            (["--cgroup-manager", "disabled", "run", "-f", "/c.json", "-b", "/b", "id"], "/c.json"),
            (["--log", "create", "state", "id"], nil), (["exec", "--pid-file", "/p", "id", "run"], nil),
            (["delete", "--force", "create"], nil), (["--version"], nil), ([], nil),
        ] as [([String], String?)])
    func theConfigurationIsFound(arguments: [String], path: String?) {
        #expect(RuntimeCommand(arguments).configuration == path)
    }

    @Test func theyComeBehindThoseThatAreThere() throws {
        let text =
            #"{"root":{"path":"rootfs"},"hooks":{"createRuntime":[\#(Self.ours[0])],"prestart":[{"path":"/x"}]},"n":-1.50e3}"#
        let changed = try #require(try added(text))
        #expect(changed["hooks"]?["createRuntime"]?.written == "[" + Self.ours.joined(separator: ",") + "]")
        #expect(changed["hooks"]?["prestart"]?.written == #"[{"path":"/x"}]"#)
        #expect(
            changed["hooks"]?["poststop"]?.written
                == "[" + Self.ours[1].replacingOccurrences(of: "createRuntime", with: "poststop") + "]")
        #expect(changed["root"]?["path"]?.text == "rootfs" && changed["n"]?.number == "-1.50e3")
        // A runtime may be asked again for the same bundle.
        #expect(try added(changed.written) == nil)
    }

    @Test(arguments: [#"{}"#, #"{"hooks":null}"#, #"{"hooks":{"createRuntime":null}}"#])
    func aConfigurationWithoutAnyGetsThem(text: String) throws {
        let hooks = try #require(try added(text)?["hooks"])
        #expect(hooks["createRuntime"]?.written == "[\(Self.ours[1])]")
    }

    @Test(arguments: ["", "[]", "{", #"{"hooks":[]}"#, #"{"hooks":{"poststop":{}}}"#, #"{"hooks":{},"hooks":{}}"#])
    func whatIsNotUnderstoodStartsNothing(text: String) {
        #expect(throws: HookFailure.self) { try Self.hooks.adding(to: Array(text.utf8)) }
    }

    @Test func ofWrongUseTheRuntimeIsNotRun() {
        for arguments in [
            [], ["--"], ["runc"], ["--timeout", "0", "--", "/bin/true"], ["--", "/nowhere/runc", "state", "x"],
            ["--", "/bin/true", "create", "--bundle", "/nowhere", "x"],
        ] { #expect(RuntimeProgram.run(arguments) == 1, "\(arguments)") }
    }
}
