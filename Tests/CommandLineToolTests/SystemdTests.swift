import ClientSupport
import Foundation
import Testing

@testable import CommandLineTool

@Suite("systemd units")
struct SystemdTests {
    private static func unit(_ texts: String...) -> SystemdUnit {
        var unit = SystemdUnit()
        for text in texts { unit.read(text) }
        return unit
    }

    private static func dropIn(_ unit: SystemdUnit) throws -> [String] {
        try SystemdEnableCommand.dropIn(
            unit, unit: "web.service", launcher: "/usr/libexec/portcullis/portcullis-launch",
            agentUnit: "portcullisd.service"
        ).split(separator: "\n").map(String.init).filter { $0.hasPrefix("ExecStart") }
    }

    @Test func everyCommandIsWrappedAsItIsWritten() throws {
        let unit = Self.unit(
            """
            [Unit]
            ExecStart=/not/this
            [Service]
            Type=oneshot
            ExecStart=/usr/sbin/nginx -g 'daemon on; master_process on;' \\
            # a comment
              -c "%h/$CONF"
            ExecStart=-!/bin/second   ${ARGS}
            ExecStart = +second-by-path
            [Install]
            ExecStart=/not/this/either
            """)
        #expect(
            try Self.dropIn(unit) == [
                "ExecStart=",
                "ExecStart=/usr/libexec/portcullis/portcullis-launch -- /usr/sbin/nginx -g 'daemon on; master_process on;'    -c \"%h/$CONF\"",
                "ExecStart=-!/usr/libexec/portcullis/portcullis-launch -- /bin/second   ${ARGS}",
                "ExecStart=+/usr/libexec/portcullis/portcullis-launch -- second-by-path",
            ])
    }

    @Test func aDropInTakesBackWhatWasBefore() throws {
        let unit = Self.unit(
            "[Service]\nExecStart=/bin/one\nUser=web\n", "[Service]\nExecStart=\nExecStart=/bin/two\nUser=\n")
        #expect(
            try Self.dropIn(unit) == ["ExecStart=", "ExecStart=/usr/libexec/portcullis/portcullis-launch -- /bin/two"])
    }

    @Test(arguments: [
        ("[Service]\nExecStart=/bin/x\nUser=web", "runs as web"),
        ("[Service]\nExecStart=/bin/x\nDynamicUser=yes", "DynamicUser=yes"),
        ("[Service]\nExecStart=/bin/x\nRootDirectory=/srv", "RootDirectory=/srv"),
        ("[Service]\nExecStart=-@/bin/x y", "argv[0]"), ("[Service]\nType=oneshot", "no ExecStart="),
        ("", "no ExecStart="),
    ])
    func whatCannotBeWrappedIsRefused(text: String, reason: String) {
        #expect { try Self.dropIn(Self.unit(text)) } throws: { error in
            (error as? ToolFailure)?.messages.first?.contains(reason) == true
        }
    }

    @Test func aServiceOfTheBusIsWarnedAbout() {
        let text = "[Service]\nType=dbus\nBusName=org.example\nExecStart=/bin/x\n"
        #expect(
            SystemdEnableCommand.warning(Self.unit(text), unit: "x.service")?.contains("manager-asked=allow") == true)
        #expect(SystemdEnableCommand.warning(Self.unit("[Service]\nExecStart=/bin/x\n"), unit: "x.service") == nil)
    }

    @Test(arguments: [
        ("plain", "plain"), ("/a b", "\"/a b\""), ("a\"b", "\"a\\\"b\""), ("100%", "100%%"), ("$HOME", "$$HOME"),
        ("a\\b", "\"a\\\\b\""),
    ])
    func wordsAreQuotedAsSystemdReadsThem(word: String, text: String) {
        #expect(SystemdEnableCommand.quoted(word) == text)
    }

    @Test func enableWritesAndDisableRemoves() throws {
        let folder = try TestFolder()
        let (units, dropIn) = (
            folder.path + "/usr/lib/systemd/system", "/etc/systemd/system/web@a.service.d/50-portcullis.conf"
        )
        for path in ["/usr/lib/systemd/system/web@.service.d", "/etc/systemd/system"] {
            try FileManager.default.createDirectory(atPath: folder.path + path, withIntermediateDirectories: true)
        }
        try "[Service]\nExecStart=/bin/web %i\n".write(
            toFile: units + "/web@.service", atomically: true, encoding: .utf8)
        try "[Service]\nExecStart=/bin/more %i\n"
            .write(toFile: units + "/web@.service.d/more.conf", atomically: true, encoding: .utf8)
        let enabled = try ToolRun(
            "systemd", "enable", "web@a", "--root", folder.path, "--policies", "/etc/own policies", "--launcher",
            "/usr/libexec/portcullis/portcullis-launch", "--socket", "/run/p.sock")
        #expect(enabled.status == 0, "\(enabled)")
        let text = try String(contentsOfFile: folder.path + dropIn, encoding: .utf8)
        let launcher =
            "/usr/libexec/portcullis/portcullis-launch --socket /run/p.sock --policies \"/etc/own policies\" -- "
        #expect(
            text.split(separator: "\n").filter { $0.hasPrefix("ExecStart") } == [
                "ExecStart=", "ExecStart=\(launcher)/bin/web %i", "ExecStart=\(launcher)/bin/more %i",
            ])
        #expect(text.contains("Requires=portcullisd.service\nAfter=portcullisd.service\n"))
        // Again, it is the same: ours is not wrapped once more.
        #expect(
            try ToolRun(
                "systemd", "enable", "web@a", "--root", folder.path, "--policies", "/etc/own policies", "--launcher",
                "/usr/libexec/portcullis/portcullis-launch", "--socket", "/run/p.sock"
            ).status == 0)
        #expect(try String(contentsOfFile: folder.path + dropIn, encoding: .utf8) == text)
        #expect(try ToolRun("systemd", "disable", "web@a.service", "--root", folder.path).status == 0)
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/etc/systemd/system/web@a.service.d"))
        let again = try ToolRun("systemd", "disable", "web@a", "--root", folder.path)
        #expect(again.status == 1 && again.error.contains("there is no"), "\(again)")
    }

    @Test(arguments: [
        (["none"], "there is no such unit"), (["a.socket"], "only services"), (["../x"], "no name of a service"),
        (["none", "--policies", "relative"], "there is no such unit"),
    ])
    func mistakesAreOneLine(words: [String], reason: String) throws {
        let folder = try TestFolder()
        let run = try ToolRun(["systemd", "enable"] + words + ["--root", folder.path])
        #expect(run.status == 1)
        #expect(run.error.contains(reason) && run.error.split(separator: "\n").count == 1, "\(run)")
    }
}
