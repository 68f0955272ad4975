import Foundation
import Testing

extension KernelSuite {
    /// Rules on capabilities and on system calls, in supervised trees.
    @Suite("Capability and system call rules")
    struct SystemCallRuleTests {
        private static let victim = AgentUnderTest.binaries + "/portcullis-victim"

        private func start(_ policy: String) throws -> (Scratch, AgentUnderTest) {
            let scratch = try Scratch()
            return (scratch, try AgentUnderTest(scratch, policies: ["p.yaml": policy]))
        }

        private func run(_ agent: AgentUnderTest, _ words: [String]) -> Shell.Result {
            agent.tool(["run", "--", Self.victim] + words)
        }

        private func capability(_ name: String, source: String? = victim, action: String = "Block") -> String {
            let sources = source.map { ", fromSource: [{path: \($0)}]" } ?? ""
            return AgentUnderTest.policy(
                capabilities: "matchCapabilities: [{capability: \(name)\(sources)}]", action: action)
        }

        private func expectOne(
            _ agent: AgentUnderTest, _ operation: String, resource: String, data: String, action: String,
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.count == 1, "\(alerts.map(\.fields))", sourceLocation: sourceLocation)
            #expect(alerts.first?["PolicyName"] == "p", sourceLocation: sourceLocation)
            #expect(alerts.first?["Operation"] == operation, sourceLocation: sourceLocation)
            #expect(alerts.first?["Resource"] ?? "" == resource, sourceLocation: sourceLocation)
            #expect(alerts.first?["Data"] == data, sourceLocation: sourceLocation)
            #expect(alerts.first?["Action"] == action, sourceLocation: sourceLocation)
            #expect(
                alerts.first?["Result"] == (action == "Block" ? "Permission denied" : "Passed"),
                sourceLocation: sourceLocation)
            #expect(alerts.first?["ProcessName"] == Self.victim, sourceLocation: sourceLocation)
        }

        @Test func aRawSocketNeedsItsCapability() throws {
            let (_, agent) = try start(capability("net_raw"))
            #expect(run(agent, ["socket", "2", "3", "1"]).output == "errno 1 EPERM\n")
            expectOne(
                agent, "Capabilities", resource: "CAP_NET_RAW", data: "lsm=CAPABLE CAP_NET_RAW", action: "Block")
            #expect(run(agent, ["socket", "2", "2", "0"]).output == "ok\n")
        }

        @Test func anotherProgramKeepsIt() throws {
            let (_, agent) = try start(capability("net_raw", source: "/usr/bin/nobody-has-this"))
            #expect(run(agent, ["socket", "2", "3", "1"]).output == "ok\n")
            #expect(agent.alerts().isEmpty)
        }

        @Test func anAuditedCapabilityIsUsedAndReported() throws {
            let (_, agent) = try start(capability("net_raw", action: "Audit"))
            #expect(run(agent, ["socket", "17", "3", "0"]).output == "ok\n")
            expectOne(
                agent, "Capabilities", resource: "CAP_NET_RAW", data: "lsm=CAPABLE CAP_NET_RAW", action: "Audit")
        }

        @Test func aDeviceNeedsMknod() throws {
            let (scratch, agent) = try start(capability("mknod", source: "/usr/bin/mknod"))
            let (device, pipe) = (scratch.path("work/device"), scratch.path("work/pipe"))
            let result = agent.tool("run", "--", "/usr/bin/mknod", device, "c", "1", "3")
            #expect(result.error.contains("Operation not permitted"), "\(result)")
            #expect(!FileManager.default.fileExists(atPath: device))
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.map { $0["Resource"] } == ["CAP_MKNOD"])
            #expect(agent.tool("run", "--", "/usr/bin/mknod", pipe, "p").status == 0)
            #expect(FileManager.default.fileExists(atPath: pipe))
            #expect(agent.alerts().count == 1)
        }

        #if arch(x86_64)
            @Test(arguments: [
                // chroot, settimeofday, setuid, setresuid, setgroups, prctl(PR_CAPBSET_DROP)
                ("sys_chroot", ["161", "0", "0", "0"]), ("sys_time", ["164", "0", "0", "0"]),
                ("setuid", ["105", "1234", "0", "0"]), ("setuid", ["117", "0xFFFFFFFF", "1234", "0"]),
                ("setgid", ["116", "0", "0", "0"]), ("setpcap", ["157", "24", "40", "0"]),
            ])
            func aCallThatNeedsABlockedCapability(name: String, words: [String]) throws {
                let (_, agent) = try start(capability(name))
                #expect(run(agent, ["syscall"] + words).output == "errno 1 EPERM\n")
                let text = "CAP_" + name.uppercased()
                expectOne(agent, "Capabilities", resource: text, data: "lsm=CAPABLE \(text)", action: "Block")
            }

            @Test(arguments: [
                ("setuid", ["105", "0", "0", "0"]), ("setuid", ["117", "0xFFFFFFFF", "0", "0xFFFFFFFF"]),
                ("setgid", ["106", "0", "0", "0"]), ("setpcap", ["157", "3", "0", "0"]),
            ])
            func aCallThatDoesNotNeedIt(name: String, words: [String]) throws {
                let (_, agent) = try start(capability(name))
                #expect(!run(agent, ["syscall"] + words).output.contains("EPERM"))
                #expect(agent.alerts().isEmpty)
            }

            private static let calls = AgentUnderTest.policy(
                syscalls: "matchSyscalls: [{syscall: [setuid, mount, umount2, ptrace, getppid]}]", action: "Audit")

            @Test(arguments: [
                (["syscall", "105", "1234", "0", "0"], "ok", "SYS_SETUID userid=1234", "Audit"),
                (["syscall", "110", "0", "0", "0"], "ok", "SYS_GETPPID", "Audit"),
                (["int80", "64", "0", "0", "0"], "ok", "SYS_GETPPID", "Audit"),
                // What fails in every tree is told as what it is.
                (["syscall", "165", "0", "0", "0"], "errno 1 EPERM", "SYS_MOUNT", "Block"),
                (["syscall", "166", "0", "0", "0"], "errno 1 EPERM", "SYS_UMOUNT", "Block"),
                (["syscall", "101", "16", "1", "0"], "errno 1 EPERM", "SYS_PTRACE", "Block"),
                (["syscall", "101", "0", "0", "0"], "ok", "SYS_PTRACE", "Audit"),
            ])
            func aNamedCallIsReported(words: [String], output: String, text: String, action: String) throws {
                let (_, agent) = try start(Self.calls)
                #expect(run(agent, words).output == output + "\n")
                expectOne(agent, "Syscall", resource: "", data: "syscall=" + text, action: action)
            }
        #endif

        /// The extension: an entry that itself says Block. `getppid`, a call on a path, one that registers decide.
        @Test(arguments: [
            (["syscall", "110", "0", "0", "0"], "", "SYS_GETPPID"), (["unlink", "@/work/plain"], "", "SYS_UNLINK"),
            (["socket", "2", "2", "0"], "", "SYS_SOCKET"),
        ])
        func aCallThatAnEntryBlocksFails(words: [String], resource: String, text: String) throws {
            let scratch = try Scratch()
            let other = scratch.path("bin/other")
            try FileManager.default.copyItem(atPath: Self.victim, toPath: other)
            let entry = "{syscall: [getppid, unlink, socket], action: Block, fromSource: [{path: \(Self.victim)}]}"
            let agent = try AgentUnderTest(
                scratch,
                policies: [
                    "p.yaml": AgentUnderTest.policy(syscalls: "matchSyscalls: [\(entry), {syscall: [unlink]}]")
                ])
            let words = words.map { $0.replacingOccurrences(of: "@", with: scratch.root) }
            #expect(run(agent, words).output == "errno 13 EACCES\n")
            #expect(scratch.text("work/plain") == "PLAIN\n")
            expectOne(agent, "Syscall", resource: resource, data: "syscall=" + text, action: "Block")
            // Another program may.
            #expect(agent.tool(["run", "--", other] + words).output == "ok\n")
        }

        /// What the whole policy says is not about system calls.
        @Test func thePolicysActionBlocksNoCall() throws {
            let (scratch, agent) = try start(
                AgentUnderTest.policy(syscalls: "matchSyscalls: [{syscall: [unlink]}]", action: "Block"))
            #expect(run(agent, ["unlink", scratch.path("work/plain")]).output == "ok\n")
            #expect(scratch.text("work/plain") == nil)
            expectOne(
                agent, "Syscall", resource: scratch.path("work/plain"), data: "syscall=SYS_UNLINK", action: "Audit")
        }

        @Test func otherCallsAreNotReported() throws {
            let (_, agent) = try start(
                AgentUnderTest.policy(syscalls: "matchSyscalls: [{syscall: [reboot]}]", action: "Audit"))
            #expect(agent.tool("run", "--", "sh", "-c", "echo x; ls / > /dev/null").output == "x\n")
            #expect(agent.alerts().isEmpty)
            #expect(agent.tool("status", "--json").output.contains("\"calls\":0"))
        }

        @Test func aBlockedChangeOfAFileIsReportedAsBoth() throws {
            let (scratch, agent) = try start(
                AgentUnderTest.policy(
                    file: AgentUnderTest.protectedTree, syscalls: "matchSyscalls: [{syscall: [unlink]}]"))
            #expect(run(agent, ["unlink", scratch.path("prot/secret")]).output == "errno 13 EACCES\n")
            let alerts = agent.alerts(atLeast: 2)
            #expect(alerts.map { $0["Operation"] } == ["File", "Syscall"])
            #expect(alerts.allSatisfy { $0["Resource"] == scratch.path("prot/secret") })
            #expect(alerts.allSatisfy { $0["Result"] == "Permission denied" })
            #expect(alerts.last?["Data"] == "syscall=SYS_UNLINK")
            agent.stop()
            #expect(scratch.text("prot/secret") == "SECRET\n")
        }

        @Test func aRuleWithAPathIsAboutTheObject() throws {
            let (scratch, agent) = try start(
                AgentUnderTest.policy(
                    syscalls: "matchPaths: [{syscall: [unlink, unlinkat], path: \"@/work/\", recursive: true}]",
                    action: "Audit"))
            #expect(run(agent, ["unlink", scratch.path("bin/../work/plain")]).output == "ok\n")
            expectOne(
                agent, "Syscall", resource: scratch.path("work/plain"), data: "syscall=SYS_UNLINK", action: "Audit")
            #expect(run(agent, ["unlink", scratch.path("bin/allowed")]).output == "ok\n")
            // What is not there was not touched.
            #expect(run(agent, ["unlink", scratch.path("work/plain")]).output == "errno 2 ENOENT\n")
            #expect(agent.alerts().count == 1)
        }
    }
}
