import Foundation
import Testing

extension KernelSuite {
    /// B01–B07, B13: the same object under another name, or reached another way.
    @Suite("Path bypasses")
    struct PathBypassTests {
        private static let rules = "matchDirectories: [{dir: \"@/prot/\", recursive: true}]"

        private func start(_ scratch: Scratch, _ rules: String = rules) throws -> AgentUnderTest {
            try AgentUnderTest(scratch, policies: ["p.yaml": AgentUnderTest.policy(file: rules)])
        }

        @Test func b01SymlinksLeadToTheObject() throws {
            let scratch = try Scratch()
            let files = FileManager.default
            try files.createSymbolicLink(
                atPath: scratch.path("work/s"), withDestinationPath: scratch.path("prot/secret"))
            try files.createSymbolicLink(atPath: scratch.path("work/d"), withDestinationPath: "../prot")
            try files.createSymbolicLink(
                atPath: scratch.path("work/l0"), withDestinationPath: scratch.path("prot/secret"))
            for number in 1...30 {
                try files.createSymbolicLink(
                    atPath: scratch.path("work/l\(number)"), withDestinationPath: "l\(number - 1)")
            }
            let agent = try start(scratch)
            for (count, name) in ["work/s", "work/d/secret", "work/l30"].enumerated() {
                agent.expectBlocked(
                    agent.victim("read", scratch.path(name)), operation: "File", resource: scratch.path("prot/secret"),
                    alerts: count + 1)
            }
        }

        @Test func b01ASymlinkInThePolicysOwnPath() throws {
            let scratch = try Scratch()
            try FileManager.default.createSymbolicLink(atPath: scratch.path("alias"), withDestinationPath: "prot")
            let agent = try start(scratch, "matchPaths: [{path: \"@/alias/secret\"}]")
            agent.expectBlocked(
                agent.victim("read", scratch.path("prot/secret")), operation: "File",
                resource: scratch.path("prot/secret"))
        }

        @Test func b02AHardLinkMadeBeforeTheRule() throws {
            let scratch = try Scratch()
            link(scratch.path("prot/secret"), scratch.path("work/h"))
            let agent = try start(scratch, "matchPaths: [{path: \"@/prot/secret\"}]")
            agent.expectBlocked(
                agent.victim("read", scratch.path("work/h")), operation: "File", resource: scratch.path("work/h"))
        }

        @Test func b02AHardLinkMadeAfterTheRule() throws {
            let scratch = try Scratch()
            let agent = try start(scratch, "matchPaths: [{path: \"@/prot/secret\"}]")
            #expect(agent.victim("link", scratch.path("prot/secret"), scratch.path("work/h")).output == "ok\n")
            agent.expectBlocked(
                agent.victim("read", scratch.path("work/h")), operation: "File", resource: scratch.path("work/h"))
            #expect(agent.tool("status").output.contains("only a supervised tree holds them"))
        }

        @Test func b03ARenamedFileIsStillTheObject() throws {
            let scratch = try Scratch()
            let agent = try start(scratch, "matchPaths: [{path: \"@/prot/secret\"}]")
            #expect(agent.victim("rename", scratch.path("prot/secret"), scratch.path("work/x")).output == "ok\n")
            agent.expectBlocked(
                agent.victim("read", scratch.path("work/x")), operation: "File", resource: scratch.path("work/x"))
        }

        @Test func b03AFileInARenamedDirectoryIsStillTheObject() throws {
            let scratch = try Scratch()
            let agent = try start(scratch)
            #expect(agent.victim("rename", scratch.path("prot"), scratch.path("other")).output == "ok\n")
            agent.expectBlocked(
                agent.victim("read", scratch.path("other/secret")), operation: "File",
                resource: scratch.path("other/secret"))
        }

        @Test func b04ABindMountInAPrivateNamespace() throws {
            let scratch = try Scratch()
            let agent = try start(scratch)
            agent.expectBlocked(
                agent.victim("bind", scratch.path("prot"), scratch.path("work"), scratch.path("work/secret")),
                operation: "File", resource: scratch.path("prot/secret"))
        }

        @Test(arguments: ["reopen", "openat2", "read"])
        func b05EveryWayOfOpening(verb: String) throws {
            let scratch = try Scratch()
            let agent = try start(scratch)
            agent.expectBlocked(
                agent.victim(verb, scratch.path("prot/secret")), operation: "File",
                resource: scratch.path("prot/secret"))
        }

        @Test(arguments: [
            ["dirfd", "prot", "secret"], ["relative", "prot", "secret"], ["chroot", ".", "/prot/secret"],
        ])
        func b05RelativeToSomethingElse(words: [String]) throws {
            let scratch = try Scratch()
            let agent = try start(scratch)
            agent.expectBlocked(
                agent.victim(words[0], scratch.path(words[1]), words[2]), operation: "File",
                resource: scratch.path("prot/secret"))
        }

        @Test(arguments: ["/proc/self/root", "/proc/thread-self/root"])
        func b05ThroughProc(prefix: String) throws {
            let scratch = try Scratch()
            let agent = try start(scratch)
            agent.expectBlocked(
                agent.victim("read", prefix + scratch.path("prot/secret")), operation: "File",
                resource: scratch.path("prot/secret"))
        }

        @Test func b06AHandle() throws {
            let scratch = try Scratch()
            let agent = try start(scratch, "matchPaths: [{path: \"@/prot/secret\"}]")
            agent.expectBlocked(
                agent.victim("by-handle", scratch.path("prot/secret"), scratch.path("work")), operation: "File",
                resource: scratch.path("prot/secret"))
        }

        @Test(arguments: ["//prot/./secret", "/work/../prot/secret", "/prot/sub/../secret", "/./prot//secret"])
        func b13OtherSpellings(spelling: String) throws {
            let scratch = try Scratch()
            let agent = try start(scratch)
            agent.expectBlocked(
                agent.victim("read", scratch.root + spelling), operation: "File", resource: scratch.path("prot/secret"))
        }

        @Test func b13TwinsInUnicodeAreTwoFiles() throws {
            let scratch = try Scratch()
            // Written by a shell: Foundation would make the two names one.
            for name in ["caf\\xc3\\xa9", "cafe\\xcc\\x81"] {
                _ = Shell.run("bash", "-c", "printf 'SECRET\\n' > $'\(scratch.root)/work/\(name)'")
            }
            let agent = try start(scratch, "matchPaths: [{path: \"@/work/caf\u{e9}\"}]")
            func read(_ name: String) -> Shell.Result {
                Shell.run(
                    "bash", "-c",
                    "exec '\(AgentUnderTest.binaries)/portcullis-victim' read $'\(scratch.root)/work/\(name)'")
            }
            #expect(read("cafe\\xcc\\x81").output == "ok SECRET\n")
            agent.expectBlocked(read("caf\\xc3\\xa9"), operation: "File", resource: scratch.path("work/caf"))
        }

        @Test func b13ANameThatEndsInDeletedIsAName() throws {
            let scratch = try Scratch()
            try scratch.write("prot/secret (deleted)", "PLAIN\n")
            let agent = try start(scratch, "matchPaths: [{path: \"@/prot/secret\"}]")
            #expect(agent.victim("read", scratch.path("prot/secret (deleted)")).output == "ok PLAIN\n")
            #expect(agent.alerts().isEmpty)
        }

        @Test func b36ANameMadeOfControlCharactersMakesOneWellFormedAlert() throws {
            let scratch = try Scratch()
            _ = Shell.run("bash", "-c", "printf 'SECRET\\n' > $'\(scratch.root)/prot/x\\n{\"Action\":\"Allow\"}\\e[2J'")
            let agent = try start(scratch)
            let result = Shell.run(
                "bash", "-c",
                "exec '\(AgentUnderTest.binaries)/portcullis-victim' read $'\(scratch.root)/prot/x\\n{\"Action\":\"Allow\"}\\e[2J'"
            )
            agent.expectBlocked(result, operation: "File", resource: scratch.path("prot/x"))
            let text = try String(contentsOfFile: agent.alertsPath, encoding: .utf8)
            #expect(text.split(separator: "\n").count == 1)
            #expect(!text.contains("\u{1b}"))
        }

        @Test func b11ADescriptorFromBeforeTheRuleIsReported() throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest(scratch, policies: [:])
            let holder = Process()
            let (input, output) = (Pipe(), Pipe())
            holder.executableURL = URL(fileURLWithPath: AgentUnderTest.binaries + "/portcullis-victim")
            holder.arguments = ["hold", scratch.path("prot/secret")]
            holder.standardInput = input
            holder.standardOutput = output
            try holder.run()
            #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self).hasPrefix("holding"))
            try AgentUnderTest.write(AgentUnderTest.policy(file: Self.rules), "p.yaml", scratch)
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.count == 1)
            #expect(alerts.first?.number("HostPID") == Int(holder.processIdentifier))
            #expect(alerts.first?["Resource"] == scratch.path("prot/secret"))
            #expect(alerts.first?["PolicyName"] == "p")
            try input.fileHandleForWriting.close()
            holder.waitUntilExit()
        }
    }
}
