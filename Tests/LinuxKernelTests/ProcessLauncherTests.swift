import Glibc
import LinuxKernel
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(10)))
struct ProcessLauncherTests {
    typealias Passed = ProcessLauncher.PassedDescriptor

    /// Runs a program with its output in a pipe and returns the output and how it ended.
    private func run(
        _ executable: String, _ arguments: [String], environment: [String] = [],
        settings: ProcessLauncher.Settings = .init()
    ) throws -> (output: String, end: ProcessEnd) {
        let pipe = try Pipe()
        let reader = try pipe.reader.duplicate()
        let child = try ProcessLauncher.spawn(
            executable: executable, arguments: arguments, environment: environment,
            descriptorMap: [Passed(parent: pipe.writer.raw, child: 1)], settings: settings)
        dropBoth(pipe)
        let output = try readToEnd(reader)
        return (output, try child.wait())
    }

    private func dropBoth(_ pipe: consuming Pipe) {}

    private func status(_ settings: ProcessLauncher.Settings) throws -> [String: String] {
        let result = try run("/bin/cat", ["cat", "/proc/self/status"], settings: settings)
        #expect(result.end == .exited(0))
        var fields: [String: String] = [:]
        for line in result.output.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2 {
                fields[String(parts[0])] = parts[1].split(whereSeparator: \.isWhitespace).joined(separator: " ")
            }
        }
        return fields
    }

    @Test func argumentsEnvironmentAndExitStatus() throws {
        let result = try run(
            "/bin/sh", ["sh", "-c", "echo \"$1|$VALUE\"; exit 7", "x", "two words"], environment: ["VALUE=a=b"])
        #expect(result.output == "two words|a=b\n")
        #expect(result.end == .exited(7))
    }

    @Test(.enabled(if: isRoot))
    func anotherUserKeepsOnlyTheGivenCapabilities() throws {
        var settings = ProcessLauncher.Settings()
        settings.uid = 65534
        settings.gid = 65533
        settings.keepCapabilities = [.dacReadSearch, .netBindService]
        settings.boundingSet = [.dacReadSearch, .netBindService, .kill]
        settings.noNewPrivileges = true
        settings.newSession = true
        let fields = try status(settings)
        let kept = "0000000000000404"
        #expect(fields["Uid"] == "65534 65534 65534 65534")
        #expect(fields["Gid"] == "65533 65533 65533 65533")
        #expect(fields["Groups"] ?? "" == "")
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] { #expect(fields[set] == kept, "\(set)") }
        #expect(fields["CapBnd"] == "0000000000000424")
        #expect(fields["NoNewPrivs"] == "1")
        #expect(fields["SigBlk"] == "0000000000000000")
        #expect(fields["SigIgn"] == "0000000000000000")
        #expect(fields["NSsid"] == fields["Pid"])
    }

    @Test(.enabled(if: isRoot))
    func rootWithoutCapabilitiesHasNone() throws {
        var settings = ProcessLauncher.Settings()
        settings.keepCapabilities = []
        let fields = try status(settings)
        #expect(fields["Uid"] == "0 0 0 0")
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] { #expect(fields[set] == "0000000000000000", "\(set)") }
        #expect(fields["NoNewPrivs"] == "0")
    }

    @Test func capabilitiesBeyondTheBoundingSetAreAnError() throws {
        var settings = ProcessLauncher.Settings()
        settings.keepCapabilities = [.netAdmin]
        settings.boundingSet = []
        if isRoot {
            #expect(throws: KernelError("capset", errno: EPERM)) {
                _ = try ProcessLauncher.spawn(executable: "/bin/true", arguments: ["true"], settings: settings)
            }
        }
        settings = .init()
        settings.uid = 5
        #expect(throws: KernelError("spawn", errno: EINVAL)) {
            _ = try ProcessLauncher.spawn(executable: "/bin/true", arguments: ["true"], settings: settings)
        }
    }

    @Test func failedExecutionIsReportedAndReaped() throws {
        #expect(throws: KernelError("execve", errno: ENOENT)) {
            _ = try ProcessLauncher.spawn(executable: "/nonexistent/program", arguments: ["x"])
        }
        #expect(throws: KernelError("execve", errno: EACCES)) {
            _ = try ProcessLauncher.spawn(executable: "/etc/passwd", arguments: ["x"])
        }
        #expect(throws: KernelError("dup3", errno: EBADF)) {
            _ = try ProcessLauncher.spawn(
                executable: "/bin/true", arguments: ["x"], descriptorMap: [Passed(parent: 99_999, child: 3)])
        }
    }

    @Test func descriptorsSwapAndOthersAreClosed() throws {
        let memory = { (text: String) throws -> Descriptor in
            try SealedMemory.create(name: "test", bytes: Array(text.utf8))
        }
        let first = try memory("first")
        let second = try memory("second")
        let pipe = try Pipe()
        let leaked = try memory("leaked")
        try leaked.setCloseOnExec(false)
        let reader = try pipe.reader.duplicate()
        // Each target is the other's source.
        let child = try ProcessLauncher.spawn(
            executable: "/bin/sh",
            arguments: [
                "sh", "-c",
                "cat /proc/self/fd/\(second.raw); echo; cat /proc/self/fd/\(first.raw); echo; "
                    + "test -e /proc/self/fd/\(leaked.raw) && echo leaked; exit 0",
            ],
            environment: ["PATH=/bin:/usr/bin"],
            descriptorMap: [
                Passed(parent: pipe.writer.raw, child: 1), Passed(parent: first.raw, child: second.raw),
                Passed(parent: second.raw, child: first.raw),
            ])
        dropBoth(pipe)
        #expect(try readToEnd(reader) == "first\nsecond\n")
        #expect(try child.wait() == .exited(0))
    }

    @Test func signalsAndPidDescriptors() throws {
        let child = try ProcessLauncher.spawn(executable: "/bin/sleep", arguments: ["sleep", "60"])
        #expect(try child.poll() == nil)
        #expect(child.pidDescriptor >= 0)
        let own = try ProcessDescriptor.open(child.pid)
        #expect(ProcessDescriptor.sendSignal(0, to: own.raw) == 0)
        try child.signal(SIGKILL)
        var set = PollSet()
        set.add(child.pidDescriptor, .readable)
        #expect(set.wait(timeoutMilliseconds: 10_000) == 1)
        #expect(try ProcessDescriptor.wait(own.raw, block: true) == .killed(SIGKILL))
        #expect(ProcessDescriptor.sendSignal(0, to: own.raw) == -ESRCH)
        #expect(throws: KernelError("waitid", errno: ECHILD)) { _ = try child.wait() }
    }

    @Test func anotherProcessesDescriptorCanBeCopied() throws {
        let memory = try SealedMemory.create(name: "test", bytes: Array("shared".utf8))
        let child = try ProcessLauncher.spawn(
            executable: "/bin/sleep", arguments: ["sleep", "60"],
            descriptorMap: [Passed(parent: memory.raw, child: 9)])
        let copy = try ProcessDescriptor.copyDescriptor(9, of: child.pidDescriptor)
        #expect(try ObjectStatus.of(descriptor: copy.raw) == ObjectStatus.of(descriptor: memory.raw))
        try child.signal(SIGKILL)
        #expect(try child.wait() == .killed(SIGKILL))
    }

    @Test func theDeathSignalEndsAnOrphan() throws {
        let pipe = try Pipe()
        let writer = try pipe.writer.duplicate().release()
        let reader = try pipe.reader.duplicate()
        dropBoth(pipe)
        let pid = Mutex<Int32>(0)
        // The spawning thread ends at once; the child holds the only other writer.
        let thread = try KernelThread.start(name: "spawner") {
            var settings = ProcessLauncher.Settings()
            settings.deathSignal = SIGKILL
            let child = try? ProcessLauncher.spawn(
                executable: "/bin/sleep", arguments: ["sleep", "60"],
                descriptorMap: [Passed(parent: writer, child: 5)], settings: settings)
            if let child {
                let number = child.pid
                pid.withLock { $0 = number }
            }
            close(writer)
        }
        thread.join()
        #expect(try readToEnd(reader) == "")
        let child = pid.withLock { $0 }
        #expect(child > 0)
        var status: Int32 = 0
        #expect(waitpid(child, &status, 0) == child)
        #expect(status == SIGKILL)
    }
}
