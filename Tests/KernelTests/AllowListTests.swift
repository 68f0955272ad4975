import Foundation
import Testing

extension KernelSuite {
    /// Allow-lists of programs: whatever is not listed does not run, however it is called.
    @Suite("Allow-lists")
    struct AllowListTests {
        private static let policy = AgentUnderTest.policy(
            process:
                "matchPaths: [{path: /usr/bin/portcullis-victim}, {path: /usr/bin/portcullis}, {path: /usr/bin/cat}, "
                + "{path: /usr/bin/bash, fromSource: [{path: /usr/bin/portcullis-victim}]}, {path: /usr/bin/listed.sh}]",
            action: "Allow")

        private func start(posture: String = "block") throws -> (PrivateRoot, AgentUnderTest) {
            let root = try PrivateRoot(hostName: "node", programs: ["bash", "cat", "touch", "ls"])
            try root.write("/usr/bin/listed.sh", "#!/usr/bin/bash\necho ran\n")
            try root.write("/usr/bin/unlisted.sh", "#!/usr/bin/cat\n")
            for name in ["listed.sh", "unlisted.sh"] { chmod("\(root.mount)/usr/bin/\(name)", 0o755) }
            return (
                root,
                try AgentUnderTest(root, policies: ["p.yaml": Self.policy], options: ["--file-posture", posture])
            )
        }

        /// The victim was refused, nothing ran, and one alert names the default posture.
        private func expectUnlisted(
            _ root: PrivateRoot, _ agent: AgentUnderTest, _ result: Shell.Result, resource: String,
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            #expect(result.output.contains("errno 1 EPERM"), "\(result)", sourceLocation: sourceLocation)
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.count == 1, "\(alerts.map(\.fields))", sourceLocation: sourceLocation)
            #expect(alerts.first?["PolicyName"] == "DefaultPosture", sourceLocation: sourceLocation)
            #expect(alerts.first?["Action"] == "Block", sourceLocation: sourceLocation)
            #expect(alerts.first?["Operation"] == "Process", sourceLocation: sourceLocation)
            #expect(
                alerts.first?["Resource"]?.hasPrefix(resource) == true, "\(alerts.first?["Resource"] ?? "")",
                sourceLocation: sourceLocation)
            agent.stop()
            #expect(root.text("/tmp/marker") == nil, sourceLocation: sourceLocation)
        }

        @Test func listedProgramsRunAndOthersDoNot() throws {
            let (root, agent) = try start()
            #expect(agent.run(["cat", "/etc/hostname"]).output == "node\n")
            #expect(agent.alerts().isEmpty)
            expectUnlisted(
                root, agent, agent.victim("exec", "/usr/bin/touch", "/tmp/marker"), resource: "/usr/bin/touch")
        }

        @Test func underAuditEverythingRunsAndIsReported() throws {
            let (root, agent) = try start(posture: "audit")
            _ = agent.victim("exec", "/usr/bin/touch", "/tmp/marker")
            #expect(root.text("/tmp/marker") == "")
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.count == 1)
            #expect(alerts.first?["PolicyName"] == "DefaultPosture")
            #expect(alerts.first?["Action"] == "Audit")
            #expect(alerts.first?["Result"] == "Passed")
        }

        @Test func aProgramListedForOneParentRunsFromThatParentOnly() throws {
            let (_, agent) = try start()
            #expect(agent.victim("fork-exec", "/usr/bin/bash", "-c", "echo ran").output == "ran\n")
            #expect(agent.alerts().isEmpty)
            // nsenter(1) starts it: another parent.
            #expect(agent.run(["bash", "-c", "echo ran"]).output == "")
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.count == 1)
            #expect(alerts.first?["PolicyName"] == "DefaultPosture")
        }

        @Test func b04AnotherProgramUnderAListedName() throws {
            let (root, agent) = try start()
            let result = agent.victim("bind-exec", "/usr/bin/touch", "/usr/bin/cat", "/usr/bin/cat", "/tmp/marker")
            #expect(result.output.contains("errno 1 EPERM"), "\(result)")
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.count == 1)
            #expect(alerts.first?["Action"] == "Block")
            // The object's own name, not the one the attacker gave it.
            #expect(alerts.first?["ProcessName"] == "/usr/bin/touch", "\(alerts.map(\.fields))")
            agent.stop()
            #expect(root.text("/tmp/marker") == nil)
        }

        @Test(arguments: ["hard link", "copy", "symlink"]) func b19AnUnlistedNameOfAListedProgram(_ way: String) throws
        {
            let root = try PrivateRoot(hostName: "node", programs: ["cat"])
            let (listed, other) = (root.mount + "/usr/bin/cat", root.mount + "/tmp/other")
            switch way {
            case "hard link": link(listed, other)
            case "copy": try FileManager.default.copyItem(atPath: listed, toPath: other)
            default: symlink("/usr/bin/cat", other)
            }
            let agent = try AgentUnderTest(
                root, policies: ["p.yaml": Self.policy], options: ["--file-posture", "block"])
            let result = agent.victim("exec", "/tmp/other", "/etc/hostname")
            if way == "symlink" {
                // A symlink is no name of its own: the listed object runs.
                #expect(result.output == "node\n", "\(result)")
                #expect(agent.alerts().isEmpty)
            } else {
                expectUnlisted(root, agent, result, resource: "/tmp/other")
            }
        }

        @Test func b15AProgramWithoutAName() throws {
            let (root, agent) = try start()
            expectUnlisted(
                root, agent, agent.victim("tmpfile-exec", "/usr/bin/touch", "/tmp"), resource: "/tmp/#")
        }

        @Test func b15WhatHasNoEventIsSaidToHaveNone() throws {
            let (_, agent) = try start()
            #expect(agent.log.contains("memfd execution raises no fanotify event"))
        }

        @Test func b16TheLoaderRunByHandIsNotListed() throws {
            let (root, agent) = try start()
            expectUnlisted(
                root, agent,
                agent.victim("exec", "/usr/lib64/ld-linux-x86-64.so.2", "/usr/bin/touch", "/tmp/marker"),
                resource: "/usr/lib")
        }

        @Test func b17AScriptNeedsAnInterpreterThatIsListedToo() throws {
            let (root, agent) = try start()
            #expect(agent.victim("fork-exec", "/usr/bin/listed.sh").output == "ran\n")
            #expect(agent.alerts().isEmpty)
            expectUnlisted(
                root, agent, agent.victim("exec", "/usr/bin/unlisted.sh"), resource: "/usr/bin/unlisted.sh")
        }

        @Test func b22AProgramOnAFilesystemMountedLater() throws {
            let (_, agent) = try start()
            let result = agent.victim("fresh-mount-exec", "/usr/bin/touch", "/home", "100")
            #expect(result.output.contains("errno 1 EPERM"), "\(result)")
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.count == 1)
            #expect(alerts.first?["ProcessName"] == "/home/copy", "\(alerts.map(\.fields))")
        }
    }
}
