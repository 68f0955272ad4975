import ControlJSON
import ControlProtocol
import Foundation
import Testing

extension KernelSuite {
    /// B27–B29 at scale: floods with exact accounts, a thousand reloads, no descriptors left, stopped and dead roles.
    @Suite("Exhaustion")
    struct ExhaustionTests {
        private static let policy = AgentUnderTest.policy(
            file: "matchDirectories: [{dir: \"@/prot/\", recursive: true}], matchPatterns: [{pattern: \"@/**/*.key\"}]")

        private func start(
            _ scratch: Scratch, _ options: [String] = [], isThrottled: Bool = false
        ) throws -> AgentUnderTest {
            try AgentUnderTest(
                scratch, policies: ["p.yaml": Self.policy], options: options, isThrottled: isThrottled)
        }

        private func status(_ agent: AgentUnderTest) throws -> AgentStatus {
            try JSONDecoder().decode(AgentStatus.self, from: Data(agent.tool("status", "--json").output.utf8))
        }

        /// Opens of the flood, all processes together: PORTCULLIS_FLOOD, by default 128 000.
        private static let flood =
            ProcessInfo.processInfo.environment["PORTCULLIS_FLOOD"].flatMap { Int($0) } ?? 128_000

        @Test(arguments: [true, false]) func b28EveryDenialOfAFloodIsAccountedFor(throttled: Bool) throws {
            let scratch = try Scratch()
            for number in 0..<1000 {
                try "x".write(toFile: scratch.path("work/f\(number)"), atomically: false, encoding: .utf8)
            }
            let agent = try start(scratch, ["--no-cache"], isThrottled: throttled)
            let result = agent.victim(
                "flood", "64", "\(Self.flood / 64)", "1000", scratch.path("work"), scratch.path("prot/secret"))
            let words = result.output.split(separator: " ").map { $0.trimmingCharacters(in: .newlines) }
            try #require(words.count == 6, "\(result)")
            let refused = try #require(UInt64(words[3]))
            #expect(words[5] == "0")
            #expect(refused == UInt64(Self.flood / 64 / 10 * 64))
            // The last records are still on their way.
            var counters = try status(agent).counters
            let end = Date().addingTimeInterval(90)
            func told() -> UInt64 {
                (counters["alerts-generated"] ?? 0) + (counters["block-records-lost"] ?? 0)
            }
            while told() < refused && Date() < end {
                AgentUnderTest.pause()
                counters = try status(agent).counters
            }
            #expect(counters["blocked"] == refused)
            #expect(told() == refused)
            let emitted = counters["alerts-emitted"] ?? 0
            let suppressed = counters["alerts-suppressed"] ?? 0
            #expect(emitted + suppressed == counters["alerts-generated"])
            #expect(throttled == (suppressed > 0))
            let lines = agent.alerts(atLeast: Int(emitted)) { $0["Operation"] == "File" }
            #expect(lines.count == Int(emitted))
        }

        @Test func b29AThousandReloadsLetNothingThroughAndLeaveNothingBehind() throws {
            let scratch = try Scratch()
            let agent = try start(scratch)
            let stop = scratch.outside + "/stop"
            let hammer = Process()
            let output = Pipe()
            hammer.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
            hammer.arguments = [
                "120", AgentUnderTest.binaries + "/portcullis-victim", "hammer-until", scratch.path("prot/secret"),
                stop,
                "1000",
            ]
            hammer.standardOutput = output
            try hammer.run()
            let control = try ControlClient(agent.socket)
            var early: [String: Int] = [:]
            for round in 1...1000 {
                let other = round % 2 == 0 ? "" : "matchPaths: [{path: \"@/bin/denied\"}], "
                let text = AgentUnderTest.policy(
                    file: other + "matchDirectories: [{dir: \"@/prot/\", recursive: true}]"
                ).replacingOccurrences(of: "@", with: scratch.root)
                let answer = try control.ask(.apply(documents: [PolicyDocument(name: "r", text: text)], dryRun: false))
                guard case .done = answer else {
                    Issue.record("round \(round): \(answer)")
                    break
                }
                if round == 100 { early = try Self.resources(agent) }
            }
            let late = try Self.resources(agent)
            try "".write(toFile: stop, atomically: false, encoding: .utf8)
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            hammer.waitUntilExit()
            #expect(text.hasPrefix("succeeded 0 "), "\(text)")
            for (name, value) in late where name.hasSuffix("descriptors") {
                #expect(value <= (early[name] ?? 0) + 2, "\(name): \(early[name] ?? 0), then \(value)")
            }
            for (name, value) in late where name.hasSuffix("kilobytes") {
                #expect(value <= (early[name] ?? 0) + 8192, "\(name): \(early[name] ?? 0), then \(value)")
            }
        }

        /// Open descriptors and resident memory of each role.
        private static func resources(_ agent: AgentUnderTest) throws -> [String: Int] {
            var result: [String: Int] = [:]
            for role in ["guardian", "worker", "front"] {
                let pid = try #require(agent.pid(of: role))
                result[role + " descriptors"] = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd")
                    .count
                let text = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
                let line = text.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
                result[role + " kilobytes"] = line.flatMap { Int($0.split(separator: " ").dropLast().last ?? "") } ?? 0
            }
            return result
        }

        @Test func b28WithoutDescriptorsEverythingAskedAboutIsDenied() throws {
            let scratch = try Scratch()
            let agent = try start(scratch, ["--no-cache"])
            let worker = try #require(agent.pid(of: "worker"))
            // Those it keeps, not those it has open for a moment.
            var used = Set(0..<4096)
            for _ in 0..<30 {
                used.formIntersection(
                    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(worker)/fd").compactMap { Int($0) })
                AgentUnderTest.pause()
            }
            // Not one number is left for an event's descriptor.
            let free = try #require((0..<4096).first { !used.contains($0) })
            try Shell.check("prlimit", "--pid", "\(worker)", "--nofile=\(free):4096")
            #expect(agent.victim("read", scratch.path("prot/secret")).output == "errno 1 EPERM\n")
            let result = agent.victim("flood", "8", "100", "1", scratch.path("prot"), scratch.path("prot/secret"))
            #expect(result.output.contains("forbidden 0\n"), "\(result)")
            try Shell.check("prlimit", "--pid", "\(worker)", "--nofile=4096:4096")
            let exhausted = try status(agent).failures.first { $0.name == "descriptor-exhausted" }
            #expect((exhausted?.count ?? 0) > 0)
            #expect(agent.victim("read", scratch.path("work/plain")).output == "ok PLAIN\n")
            #expect(agent.victim("read", scratch.path("prot/secret")).output == "errno 1 EPERM\n")
            #expect(agent.pid(of: "worker") == worker)
        }

        @Test func b27AQueueOfTwoThousandIsDeniedWhenTheWorkerStands() throws {
            let scratch = try Scratch()
            let agent = try start(scratch, ["--deadline", "500"])
            let worker = try #require(agent.pid(of: "worker"))
            kill(worker, SIGSTOP)
            let result = Shell.run(
                "timeout", "60", AgentUnderTest.binaries + "/portcullis-victim", "flood", "2000", "10", "1",
                scratch.path("prot"), scratch.path("prot/secret"))
            #expect(result.output == "succeeded 0 refused 2000 forbidden 0\n", "\(result)")
            #expect(agent.pid(of: "worker") != worker)
            #expect(agent.victim("read", scratch.path("work/plain")).output == "ok PLAIN\n")
        }

        @Test(arguments: ["hold", "map"]) func b11TheHolderOfAnOldDescriptorIsEnded(way: String) throws {
            let scratch = try Scratch()
            let agent = try AgentUnderTest(scratch, policies: [:], options: ["--stale-fd", "kill"])
            let holder = Process()
            let (input, output) = (Pipe(), Pipe())
            holder.executableURL = URL(fileURLWithPath: AgentUnderTest.binaries + "/portcullis-victim")
            holder.arguments = [way, scratch.path("prot/secret")]
            holder.standardInput = input
            holder.standardOutput = output
            try holder.run()
            #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self).hasPrefix("holding"))
            try AgentUnderTest.write(Self.policy, "p.yaml", scratch)
            holder.waitUntilExit()
            #expect(holder.terminationReason == .uncaughtSignal && holder.terminationStatus == SIGKILL)
            let alerts = agent.alerts(atLeast: 1)
            #expect(alerts.count == 1, "\(alerts.map(\.fields))")
            #expect(alerts.first?.number("HostPID") == Int(holder.processIdentifier))
            #expect(alerts.first?["Resource"] == scratch.path("prot/secret"))
            try input.fileHandleForWriting.close()
        }

        @Test(arguments: [["guardian", "worker", "front"], ["worker"], []])
        func unlockEndsAnAgentThatDoesNotAnswer(stopped: [String]) throws {
            let scratch = try Scratch()
            let agent = try start(scratch)
            #expect(agent.victim("read", scratch.path("prot/secret")).output == "errno 1 EPERM\n")
            for role in stopped { kill(try #require(agent.pid(of: role)), SIGSTOP) }
            if stopped.isEmpty { kill(agent.pid, SIGKILL) }
            let result = agent.run([
                "timeout", "90", AgentUnderTest.binaries + "/portcullis", "unlock", "--socket", agent.socket,
            ])
            #expect(result.status == 0, "\(result)")
            let end = Date().addingTimeInterval(90)
            var read = ""
            repeat {
                read = agent.victim("read", scratch.path("prot/secret")).output
            } while read != "ok SECRET\n" && Date() < end
            #expect(read == "ok SECRET\n")
        }
    }
}

/// One connection to the agent on which many questions are asked.
private final class ControlClient {
    private let socket: Int32
    private var framer = LineFramer()

    init(_ path: String) throws {
        socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        if connected != 0 { throw ScratchError(text: "no agent on \(path)") }
    }

    deinit { close(socket) }

    func ask(_ request: ControlRequest) throws -> ControlResponse {
        let line = try ControlCoding.encode(request)
        _ = line.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, 0) }
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = recv(socket, &buffer, buffer.count, 0)
            if count <= 0 { throw ScratchError(text: "the agent has closed the connection") }
            if let first = try framer.append(buffer[..<count]).first {
                return try ControlCoding.decode(ControlResponse.self, first)
            }
        }
    }
}
