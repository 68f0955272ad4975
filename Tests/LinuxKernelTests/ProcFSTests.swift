import Glibc
import Synchronization
import Testing

@testable import LinuxKernel

@Suite(.timeLimit(.minutes(10)))
struct ProcFSTests {
    static let oddNames = ["a b", "x) S 1 (y", "(((", ")))", "new\nline", "Uid:\t0", "back\\slash\\n", "\\", "é\u{7f}"]

    /// A thread that stays until the value goes.
    private final class Sleeper: Sendable {
        let pipe: Mutex<(Int32, Int32)>
        let tid = Mutex<Int32>(0)
        private let thread = Mutex<KernelThread?>(nil)

        init(name: String) throws {
            let ends = try Pipe()
            let ready = try Pipe()
            pipe = Mutex((ends.reader.plainDuplicate(), ends.writer.plainDuplicate()))
            let reader = pipe.withLock { $0.0 }
            let signal = ready.writer.raw
            let started = try KernelThread.start(name: name) { [self] in
                tid.withLock { $0 = KernelThread.currentID }
                var byte: UInt8 = 1
                write(signal, &byte, 1)
                read(reader, &byte, 1)
            }
            thread.withLock { $0 = started }
            var byte: UInt8 = 0
            read(ready.reader.raw, &byte, 1)
        }

        func end() {
            _ = pipe.withLock { close($0.1) }
            thread.withLock { $0?.join() }
            _ = pipe.withLock { close($0.0) }
        }
    }

    @Test func credentialsAreThoseOfTheThreadThatHasTheNumberNow() throws {
        let files = StatusFiles()
        defer { files.deallocate() }
        var credentials = FileCredentials()
        defer { credentials.deallocate() }
        let sleeper = try Sleeper(name: "first")
        let tid = sleeper.tid.withLock { $0 }
        #expect(credentials.read(of: tid) == 0)
        #expect(credentials.process == getpid())
        let first = files.find(tid)
        #expect(first.isNew)
        #expect(files.find(tid) == (first.descriptor, false))
        sleeper.end()
        #expect(credentials.read(of: tid) < 0)
        var byte: UInt8 = 0
        #expect(pread(first.descriptor, &byte, 1, 0) == -1)
        #expect(errno == ESRCH)
        // Another thread whose file has the same place.
        #expect(credentials.read(of: KernelThread.currentID) == 0)
        #expect(credentials.user == getuid())
    }

    @Test(arguments: oddNames)
    func namesWithOddBytes(_ name: String) throws {
        let sleeper = try Sleeper(name: name)
        defer { sleeper.end() }
        let tid = sleeper.tid.withLock { $0 }
        let status = try ProcFS.status(of: tid)
        let stat = try ProcFS.stat(of: tid)
        #expect(status.comm.bytes == Array(name.utf8))
        #expect(stat.comm.bytes == Array(name.utf8))
        #expect(status.comm == stat.comm)
        #expect((status.pid, status.tgid, status.ppid) == (tid, getpid(), getppid()))
        #expect(
            status.uid
                == ProcessStatus.Identities(
                    real: getuid(), effective: geteuid(), saved: getuid(), fileSystem: geteuid()))
        #expect((stat.ppid, stat.processGroup, stat.session) == (getppid(), getpgrp(), getsid(0)))
        #expect(stat.startTime > 0)
        #expect(status.threads > 1)
    }

    @Test func aSleepingThreadShowsItsCall() throws {
        let sleeper = try Sleeper(name: "sleeper")
        defer { sleeper.end() }
        let tid = sleeper.tid.withLock { $0 }
        let reader = sleeper.pipe.withLock { $0.0 }
        #if arch(x86_64)
            let expected: Int64 = 0
        #else
            let expected: Int64 = 63
        #endif
        var found = false
        for _ in 0..<100_000 {
            guard case .blocked(let number, let arguments) = ProcFS.waitingSystemCall(of: tid) else {
                sched_yield()
                continue
            }
            guard number == expected else { continue }
            found = true
            #expect(arguments[0] == UInt64(reader))
            #expect(arguments[2] == 1)
            break
        }
        #expect(found)
    }

    @Test func pathsAndObjectsOfThisProcess() throws {
        try ProcFS.prepare()
        var buffer = InlineArray<4096, UInt8>(repeating: 0)
        var expected = InlineArray<4096, UInt8>(repeating: 0)
        let own = withUnsafeMutableBytes(of: &buffer) {
            String(decoding: $0.prefix(max(0, ProcFS.executable(of: getpid(), into: $0))), as: UTF8.self)
        }
        let link = withUnsafeMutableBytes(of: &expected) {
            String(decoding: $0.prefix(max(0, PathName.readLink("/proc/self/exe", into: $0))), as: UTF8.self)
        }
        #expect(own == link)
        #expect(own.hasPrefix("/"))
        #expect(try ProcFS.executableObject(of: getpid()) == ObjectStatus.of(path: "/proc/self/exe"))
        var root = ObjectStatus()
        #expect(ProcFS.object(of: getpid(), "root", into: &root) == 0)
        #expect(try root == ObjectStatus.of(path: "/"))
        let command = withUnsafeMutableBytes(of: &buffer) {
            Array($0.prefix(max(0, ProcFS.commandLine(of: getpid(), into: $0))))
        }
        #expect(command.last == 0)
        #expect(command.split(separator: 0).count >= 1)
        withUnsafeMutableBytes(of: &buffer) { #expect(ProcFS.workingDirectory(of: getpid(), into: $0) > 0) }
    }

    @Test func goneAndImpossibleProcesses() throws {
        var status = ProcessStatus()
        #expect(ProcFS.status(of: Int32.max, into: &status) == -ENOENT)
        #expect(ProcFS.status(of: 0, into: &status) == -EINVAL)
        #expect(ProcFS.status(of: -5, into: &status) == -EINVAL)
        guard case .unavailable(errno: ENOENT) = ProcFS.waitingSystemCall(of: Int32.max) else {
            Issue.record("a process that does not exist has a system call")
            return
        }
    }

    @Test func iterationsFindThisProcess() throws {
        var processes: Set<Int32> = []
        #expect(ProcFS.forEachProcess { processes.insert($0) } == 0)
        #expect(processes.contains(getpid()))
        #expect(processes.contains(1))
        var threads: Set<Int32> = []
        let own = KernelThread.currentID
        #expect(ProcFS.forEachThread(of: getpid()) { threads.insert($0) } == 0)
        #expect(threads.contains(own))
        let pipe = try Pipe()
        let expected = try ObjectStatus.of(descriptor: pipe.reader.raw)
        var found: ObjectStatus?
        #expect(ProcFS.forEachDescriptor(of: getpid()) { if $0 == pipe.reader.raw { found = $1 } } == 0)
        #expect(found?.isSameObject(as: expected) == true)
    }

    @Test(.enabled(if: isRoot))
    func mappedFilesContainTheProgram() throws {
        let program = try ProcFS.executableObject(of: getpid())
        var found = false
        let result = ProcFS.forEachMappedFile(of: getpid()) { range, status in
            if status.isSameObject(as: program), !range.isEmpty { found = true }
        }
        #expect(result == 0)
        #expect(found)
    }

    @Test func terminals() {
        // As the kernel encodes them: minor's low byte, major, the rest of the minor.
        #expect(ProcessStat.terminalName(of: 136 << 8) == "pts0")
        #expect(ProcessStat.terminalName(of: 136 << 8 | 5) == "pts5")
        #expect(ProcessStat.terminalName(of: 136 << 8 | 0x2c | 1 << 20) == "pts300")
        #expect(ProcessStat.terminalName(of: 137 << 8 | 1) == "pts257")
        #expect(ProcessStat.terminalName(of: 4 << 8 | 1) == "tty1")
        #expect(ProcessStat.terminalName(of: 4 << 8 | 64) == "ttyS0")
        #expect(ProcessStat.terminalName(of: 5 << 8 | 1) == "console")
        #expect(ProcessStat.terminalName(of: 0) == nil)
    }

    @Test func statusLinesLongerThanTheBuffer() throws {
        var text = "Name:\tx\nTgid:\t7\nGroups:\t"
        text += (0..<65_536).map(String.init).joined(separator: " ")
        text += "\nNStgid:\t7\t3\nNSpid:\t8\t4\t1\nCapEff:\t000001fffeffffff\nCapAmb:\t0"
        let memory = try SealedMemory.create(name: "test", bytes: Array(text.utf8))
        #expect(lseek(memory.raw, 0, SEEK_SET) == 0)
        var status = ProcessStatus()
        #expect(LineReader.forEachLine(descriptor: memory.raw) { status.take(line: $0) } == 0)
        #expect(status.tgid == 7)
        #expect((status.namespaceTGID, status.namespacePID, status.namespaceDepth) == (3, 1, 3))
        #expect(status.effectiveCapabilities.rawValue == 0x1ff_feff_ffff)
    }

    @Test func systemCallLines() {
        let parse = { (text: String) in Array(text.utf8).withUnsafeBytes { SystemCallState($0) } }
        guard case .running = parse("running\n") else {
            Issue.record("running")
            return
        }
        guard case .outsideCall = parse("-1 0x7ffc0 0x7f00\n") else {
            Issue.record("outside")
            return
        }
        guard case .blocked(257, let arguments) = parse("257 0xffffff9c 0x1 0x2 0x0 0x0 0xffffffffffffffff 0x7 0x8\n")
        else {
            Issue.record("blocked")
            return
        }
        #expect(arguments[0] == 0xffff_ff9c)
        #expect(arguments[5] == UInt64.max)
        for bad in [
            "", "257", "257 0x1 0x2", "x 0x1 0x2 0x3 0x4 0x5 0x6", "257 0x1 0x2 0x3 0x4 0x5 0x1ffffffffffffffff",
        ] {
            guard case .unavailable = parse(bad) else {
                Issue.record("taken for a state: \(bad)")
                continue
            }
        }
    }
}

extension Descriptor {
    fileprivate borrowing func plainDuplicate() -> Int32 { dup(raw) }
}
