import Glibc
import LinuxKernel
import Synchronization
import Testing

/// Filters stay for the life of a process, so each is tried in one of its own.
@Suite(.timeLimit(.minutes(10)))
struct SelfFilterTests {
    #if arch(x86_64)
        static let clone = 56
        static let ptrace = 101
        static let unshare = 272
    #else
        static let clone = 220
        static let ptrace = 117
        static let unshare = 97
    #endif

    /// The errno that a call ends with, 0 if it works.
    static func failure(_ number: Int, _ first: Int = 0, _ second: Int = 0, _ third: Int = 0) -> Int32 {
        rawSystemCall(number, first, second, third, 0) < 0 ? errno : 0
    }

    @Test func refusesOnAllThreads() async {
        await #expect(processExitsWith: .success) {
            alarm(20)
            let gate = try Pipe()
            let gateReader = gate.reader.raw
            let inOlderThread = Mutex<Int32>(-1)
            let older = try KernelThread.start(name: "older") {
                var byte: UInt8 = 0
                read(gateReader, &byte, 1)
                inOlderThread.withLock { $0 = Self.failure(Self.unshare) }
            }
            // unshare(0) does nothing and is allowed to everybody.
            guard Self.failure(Self.unshare) == 0 else { exit(100) }
            try SelfFilter.install(refusal: .permissionDenied, denying: [.frontRole, .nonUnixSockets])
            var failures: Int32 = 0
            if Self.failure(Self.unshare) != EPERM { failures |= 1 }
            guard [UInt8(1)].withUnsafeBytes({ gate.writer.write($0) }) == 1 else { exit(101) }
            older.join()
            if inOlderThread.withLock({ $0 }) != EPERM { failures |= 2 }
            if mount("none", "/nonexistent", "tmpfs", 0, nil) == 0 || errno != EPERM { failures |= 4 }
            // io_uring_setup, clone3.
            if Self.failure(425, 1, 0) != ENOSYS || Self.failure(435, 0, 0) != ENOSYS { failures |= 8 }
            if socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) >= 0 || errno != EPERM { failures |= 16 }
            let local = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            if local < 0 { failures |= 32 }
            // CLONE_NEWUTS | SIGCHLD.
            if Self.failure(Self.clone, 0x0400_0000 | 17) != EPERM { failures |= 64 }
            // Threads still start, and the process can still work with files.
            let started = Mutex(false)
            try KernelThread.start(name: "newer") { started.withLock { $0 = true } }.join()
            let working = (try? PathOpening.read("/proc/self/status", limit: 65_536)) != nil
            if !started.withLock({ $0 }) || !working { failures |= 128 }
            exit(failures)
        }
    }

    @Test func refusesExecutionFanotifyAndTracing() async {
        await #expect(processExitsWith: .success) {
            alarm(20)
            try SelfFilter.install(refusal: .permissionDenied, denying: .frontRole)
            var failures: Int32 = 0
            let spawning = error { () throws(KernelError) in
                _ = try ProcessLauncher.spawn(executable: "/bin/true", arguments: ["true"])
            }
            if spawning != KernelError("execve", errno: EPERM) { failures |= 1 }
            let grouping = error { () throws(KernelError) in _ = try Fanotify.create([]) }
            if grouping != KernelError("fanotify_init", errno: EPERM) { failures |= 2 }
            // PTRACE_TRACEME.
            if Self.failure(Self.ptrace, 0) != EPERM { failures |= 16 }
            let status = try ProcFS.status(of: KernelThread.currentID)
            if status.seccompMode != 2 || !status.noNewPrivileges { failures |= 32 }
            let inet = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            if inet < 0 { failures |= 64 }
            exit(failures)
        }
    }

    @Test func killsWhereAsked() async {
        await #expect(processExitsWith: .signal(SIGSYS)) {
            alarm(20)
            try SelfFilter.install(refusal: .kill, denying: [])
            _ = Self.failure(Self.unshare)
            exit(EXIT_SUCCESS)
        }
    }

    #if arch(x86_64)
        @Test func killsForeignArchitectures() async {
            await #expect(processExitsWith: .signal(SIGSYS)) {
                alarm(20)
                try SelfFilter.install(refusal: .permissionDenied, denying: [])
                // getpid of the x32 table.
                _ = rawSystemCall(0x4000_0000 | 39, 0, 0, 0, 0)
                exit(EXIT_SUCCESS)
            }
        }
    #endif
}
