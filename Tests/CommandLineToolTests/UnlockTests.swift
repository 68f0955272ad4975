import ControlProtocol
import Foundation
import Testing

@Suite struct UnlockTests {
    let folder: TestFolder

    init() throws { folder = try TestFolder() }

    /// A process that lives until it is killed, under a name of its own.
    private func start(_ name: String) throws -> Process {
        let program = "\(folder.path)/\(name)"
        if !FileManager.default.fileExists(atPath: program) {
            try FileManager.default.copyItem(
                atPath: URL(fileURLWithPath: "/bin/sleep").resolvingSymlinksInPath().path, toPath: program)
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = ["600"]
        try process.run()
        // fork(2) and execve(2) lie apart; the tool looks at the executable.
        while executable(of: process.processIdentifier) != program && process.isRunning { usleep(1000) }
        return process
    }

    /// SIGTERM does not do: the test process may have it blocked, and a child inherits that.
    private func end(_ process: Process) {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    private func executable(of pid: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/\(pid)/exe", &buffer, buffer.count)
        return String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    @Test func anAgentThatAnswersIsAskedOnly() throws {
        let agent = try FakeAgent(in: folder, .answer { _ in [.done(messages: ["enforcement has ended"])] })
        defer { agent.stop() }
        try folder.write("guardian.pid", "\(getpid())\n")
        let run = try ToolRun("unlock", "--socket", agent.socket)
        #expect(run.status == 0)
        #expect(run.output == "enforcement has ended\n")
        #expect(agent.requests == [.unlock])
    }

    @Test(.enabled(if: geteuid() == 0)) func aSilentAgentIsKilledGuardianFirst() throws {
        let agent = try FakeAgent(in: folder, .silence)
        defer { agent.stop() }
        let (guardian, worker) = (try start("portcullisd"), try start("portcullis-core"))
        // The binary was replaced while it ran, as an upgrade does.
        try FileManager.default.removeItem(atPath: folder.path + "/portcullisd")
        let stranger = try start("sleeper")
        try folder.write("guardian.pid", "\(guardian.processIdentifier)\n")
        try folder.write("worker.pid", "\(worker.processIdentifier)\n")
        try folder.write("front.pid", "\(stranger.processIdentifier)\n")
        let run = try ToolRun("unlock", "--socket", agent.socket)
        #expect(run.status == 0)
        #expect(
            run.output == """
                killed the guardian (process \(guardian.processIdentifier))
                killed the worker (process \(worker.processIdentifier))

                """)
        guardian.waitUntilExit()
        worker.waitUntilExit()
        #expect(guardian.terminationReason == .uncaughtSignal && guardian.terminationStatus == SIGKILL)
        #expect(worker.terminationReason == .uncaughtSignal && worker.terminationStatus == SIGKILL)
        #expect(stranger.isRunning, "a reused process number must not be hit")
        end(stranger)
    }

    @Test(.enabled(if: geteuid() == 0)) func staleOrDamagedPidFilesKillNothing() throws {
        let process = try start("sleeper")
        for text in ["\(process.processIdentifier)\n", "-1\n", "1\n", "0", "", "99999999999\n", "x\n"] {
            try folder.write("guardian.pid", text)
            let run = try ToolRun("unlock", "--socket", folder.path + "/agent.sock")
            #expect(run.status == 3)
            #expect(run.output == "")
        }
        #expect(process.isRunning)
        end(process)
    }

    @Test(.enabled(if: geteuid() == 0)) func onlyRootMayKill() throws {
        let process = try start("portcullisd")
        try folder.write("guardian.pid", "\(process.processIdentifier)\n")
        chmod(folder.path, 0o755)
        let run = try ToolRun(
            ["unlock", "--socket", folder.path + "/agent.sock"],
            prefix: ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
        #expect(run.status == 4)
        #expect(run.error == "portcullis: the agent does not answer; only root may kill it\n")
        #expect(process.isRunning)
        end(process)
    }
}
