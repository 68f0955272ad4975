import Foundation
import Testing

extension KernelSuite {
    /// B27–B29: the agent itself is attacked, flooded, reloaded.
    @Suite("Resilience")
    struct ResilienceTests {
        private static let policy = AgentUnderTest.policy(
            file: "matchDirectories: [{dir: \"@/prot/\", recursive: true}]")

        private func start(_ scratch: Scratch, _ options: [String] = []) throws -> AgentUnderTest {
            try AgentUnderTest(scratch, policies: ["p.yaml": Self.policy], options: options)
        }

        /// Starts a victim in the background; its result when it ends.
        private func background(_ agent: AgentUnderTest, _ arguments: String...) throws -> () -> String {
            let process = Process()
            let output = Pipe()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
            process.arguments = ["90", AgentUnderTest.binaries + "/portcullis-victim"] + arguments
            process.standardOutput = output
            try process.run()
            return {
                let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
                process.waitUntilExit()
                return text
            }
        }

        @Test func b27NoForbiddenOpenSucceedsWhileTheWorkerIsKilledAHundredTimes() throws {
            let scratch = try Scratch()
            let agent = try start(scratch)
            let stop = scratch.outside + "/stop"
            let result = try background(
                agent, "hammer-until", scratch.path("prot/secret"), stop, "\(Effort.times(10000))")
            var kills = 0
            let end = Date().addingTimeInterval(Effort.patience(200))
            while kills < Effort.times(100) && Date() < end {
                if let pid = agent.pid(of: "worker"), kill(pid, SIGKILL) == 0 { kills += 1 }
                Thread.sleep(forTimeInterval: 0.08)
            }
            try "".write(toFile: stop, atomically: false, encoding: .utf8)
            let text = result()
            #expect(kills == Effort.times(100))
            #expect(text.hasPrefix("succeeded 0 "), "\(text)")
            let refused = text.split(separator: " ").last.flatMap { Int($0.trimmingCharacters(in: .newlines)) } ?? 0
            #expect(refused >= Effort.times(10_000), "\(text)")
            #expect(agent.victim("read", scratch.path("work/plain")).output == "ok PLAIN\n")
        }

        @Test func b27AStoppedWorkerIsReplacedAndTheOpenDenied() throws {
            let scratch = try Scratch()
            let agent = try start(scratch, ["--deadline", "500"])
            let pid = try #require(agent.pid(of: "worker"))
            kill(pid, SIGSTOP)
            let start = Date()
            #expect(agent.victim("read", scratch.path("prot/secret")).output.contains("EPERM"))
            #expect(Date().timeIntervalSince(start) < Effort.patience(20))
            #expect(agent.pid(of: "worker") != pid)
        }

        @Test func aDeadFrontChangesNothingAboutTheRules() throws {
            let scratch = try Scratch()
            let agent = try start(scratch)
            let pid = try #require(agent.pid(of: "front"))
            kill(pid, SIGKILL)
            #expect(agent.victim("read", scratch.path("prot/secret")).output.contains("EPERM"))
            let end = Date().addingTimeInterval(Effort.patience(60))
            while !agent.tool("status").output.contains(scratch.path("prot/")) && Date() < end {
                AgentUnderTest.pause()
            }
            #expect(agent.tool("status").output.contains(scratch.path("prot/")))
            #expect(agent.victim("read", scratch.path("prot/sub/deep")).output.contains("EPERM"))
            let alerts = agent.alerts(atLeast: 2)
            #expect(
                Set(alerts.compactMap { $0["Resource"] }) == [
                    scratch.path("prot/secret"), scratch.path("prot/sub/deep"),
                ])
        }

        @Test func b28AFloodHidesNothing() throws {
            let scratch = try Scratch()
            let agent = try start(scratch, ["--no-cache"])
            let floods = try (0..<8).map { _ in
                try background(agent, "hammer-for", scratch.path("work/plain"), "\(Effort.seconds(3))")
            }
            for _ in 0..<Effort.times(50) {
                #expect(agent.victim("read", scratch.path("prot/secret")).output.contains("EPERM"))
            }
            for flood in floods { #expect(!flood().hasPrefix("succeeded 0 ")) }
            #expect(agent.alerts(atLeast: Effort.times(50)).count == Effort.times(50))
        }

        @Test func b29NoForbiddenOpenSucceedsDuringReloads() throws {
            let scratch = try Scratch()
            let agent = try start(scratch)
            let stop = scratch.outside + "/stop"
            let result = try background(agent, "hammer-until", scratch.path("prot/secret"), stop, "1000")
            let other = AgentUnderTest.policy(
                file: "matchDirectories: [{dir: \"@/prot/\", recursive: true}], matchPaths: [{path: \"@/bin/denied\"}]")
            for reload in 0..<20 {
                // Applied over the socket: each is a whole reload, and is answered when it is in force.
                let text = (reload % 2 == 0 ? other : Self.policy).replacingOccurrences(of: "@", with: scratch.root)
                #expect(agent.tool("apply", "-f", "-", input: text).status == 0)
            }
            try "".write(toFile: stop, atomically: false, encoding: .utf8)
            let text = result()
            #expect(text.hasPrefix("succeeded 0 "), "\(text)")
        }

        @Test func aBrokenFileLeavesTheRulesInForce() throws {
            let scratch = try Scratch()
            let agent = try start(scratch)
            try AgentUnderTest.write("kind: [", "p.yaml", scratch)
            let end = Date().addingTimeInterval(Effort.patience(60))
            while !agent.log.contains("p.yaml:") && Date() < end { AgentUnderTest.pause() }
            #expect(agent.log.contains("p.yaml:"))
            #expect(agent.victim("read", scratch.path("prot/secret")).output.contains("EPERM"))
        }

        /// User and system time in ticks of 10 ms.
        private static func processorTicks(_ pid: Int32) throws -> Int {
            let text = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
            let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
            return fields.count > 12 ? (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0) : 0
        }

        @Test func aNewAgentTakesOverFromOneWithoutGuardian() throws {
            let scratch = try Scratch()
            let first = try start(scratch)
            let orphan = try #require(first.pid(of: "worker"))
            kill(first.pid, SIGKILL)
            // It sleeps while nothing happens.
            try AgentUnderTest.wait {
                let before = try Self.processorTicks(orphan)
                Thread.sleep(forTimeInterval: 0.5)
                return try Self.processorTicks(orphan) - before < 10
            }
            let stop = scratch.outside + "/stop"
            let result = try background(
                first, "hammer-until", scratch.path("prot/secret"), stop, "\(Effort.times(1000))")
            let second = try start(scratch)
            let end = Date().addingTimeInterval(Effort.patience(60))
            while kill(orphan, 0) == 0 && Date() < end { AgentUnderTest.pause() }
            #expect(kill(orphan, 0) != 0)
            try "".write(toFile: stop, atomically: false, encoding: .utf8)
            let text = result()
            #expect(text.hasPrefix("succeeded 0 "), "\(text)")
            #expect(second.log.contains("took over"))
            #expect(second.tool("status").status == 0)
        }

        @Test func theRolesHaveTheRightsTheyNeedAndNoOthers() throws {
            let scratch = try Scratch()
            let agent = try start(scratch)
            func status(_ role: String) throws -> [String: String] {
                let pid = try #require(agent.pid(of: role))
                let text = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
                return Dictionary(
                    text.split(separator: "\n").compactMap { line in
                        let parts = line.split(separator: ":", maxSplits: 1)
                        return parts.count == 2
                            ? (String(parts[0]), parts[1].trimmingCharacters(in: .whitespaces)) : nil
                    }, uniquingKeysWith: { first, _ in first })
            }
            let front = try status("front")
            for set in ["CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"] {
                #expect(front[set] == "0000000000000000", "\(set)")
            }
            #expect(front["NoNewPrivs"] == "1")
            #expect(front["Seccomp"] == "2")
            #expect(front["Uid"]?.hasPrefix("0") == false)
            let worker = try status("worker")
            // sys_admin, sys_ptrace, dac_read_search, dac_override, kill
            #expect(worker["CapEff"] == "0000000000281026")
            #expect(worker["CapInh"] == "0000000000000000")
            #expect(worker["CapAmb"] == "0000000000000000")
            // Its call threads may put in effect what a process has that they stand in for: no thread has it otherwise.
            #expect(worker["CapBnd"] == worker["CapPrm"])
            let guardian = try status("guardian")
            // The same, and setgid, setuid, setpcap.
            #expect(guardian["CapEff"] == "00000000002801e6")
            #expect(guardian["CapBnd"] == guardian["CapPrm"])
        }

        /// A worker that starts has events waiting for it, and news of mounts and names, for which it looks at protected directories.
        @Test func aWorkerThatStartsWhileMountsChangeServes() throws {
            let scratch = try Scratch()
            let agent = try start(scratch)
            let victim = Process()
            let output = Pipe()
            victim.executableURL = URL(fileURLWithPath: AgentUnderTest.binaries + "/portcullis-victim")
            victim.arguments = ["hammer", scratch.path("prot/secret"), "\(Effort.times(3000))"]
            victim.standardOutput = output
            try victim.run()
            let point = scratch.outside + "/point"
            try FileManager.default.createDirectory(atPath: point, withIntermediateDirectories: true)
            for _ in 0..<15 where victim.isRunning {
                if let pid = agent.pid(of: "worker") { kill(pid, SIGKILL) }
                for _ in 0..<5 {
                    try Filesystem.mountTmpfs(at: point)
                    umount2(point, 0)
                }
            }
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            victim.waitUntilExit()
            #expect(text == "succeeded 0 refused \(Effort.times(3000))\n")
        }

        @Test func anEndedAgentLeavesNothingBehind() throws {
            let scratch = try Scratch()
            let agent = try start(scratch)
            #expect(agent.victim("read", scratch.path("prot/secret")).output.contains("EPERM"))
            agent.stop()
            let left = try FileManager.default.contentsOfDirectory(atPath: agent.directory + "/run")
            #expect(left == ["lock"])
            #expect(scratch.text("prot/secret") == "SECRET\n")
        }
    }
}
