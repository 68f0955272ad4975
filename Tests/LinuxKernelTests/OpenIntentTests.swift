import Glibc
import LinuxKernel
import Synchronization
import Testing

/// Each way to open a file, seen from the responder while the opener is held.
@Suite(.enabled(if: isRoot), .timeLimit(.minutes(10)))
struct OpenIntentTests {
    struct Flavour: Sendable, CustomTestStringConvertible {
        var name: String
        var access: OpenIntent.Access
        var flags: Int32?
        var open: @Sendable (UnsafePointer<CChar>) -> Int
        var testDescription: String { name }
    }

    static let flavours: [Flavour] = {
        var list: [Flavour] = [
            Flavour(name: "openat read", access: .read, flags: O_RDONLY) { path in
                Int(Glibc.open(path, O_RDONLY))
            },
            Flavour(name: "openat write", access: .write, flags: O_WRONLY) { path in
                Int(Glibc.open(path, O_WRONLY))
            },
            Flavour(name: "openat read-write append", access: .write, flags: O_RDWR | O_APPEND) { path in
                Int(Glibc.open(path, O_RDWR | O_APPEND))
            },
            Flavour(name: "openat read with truncation", access: .write, flags: O_TRUNC) { path in
                Int(Glibc.open(path, O_RDONLY | O_TRUNC))
            },
            Flavour(name: "openat access mode 3", access: .write, flags: 3) { path in
                rawSystemCall(openatNumber, -100, Int(bitPattern: path), 3, 0)
            },
            Flavour(name: "openat with noise above the int", access: .read, flags: 0) { path in
                rawSystemCall(openatNumber, -100, Int(bitPattern: path), 0x7fff_0000_0000_0000, 0)
            },
            Flavour(name: "openat2 read is not believed", access: .unknown, flags: O_RDONLY) { path in
                openat2(path, 0)
            },
            Flavour(name: "openat2 write", access: .write, flags: O_WRONLY) { path in openat2(path, 1) },
        ]
        #if arch(x86_64)
            list += [
                Flavour(name: "open read", access: .read, flags: O_RDONLY) { path in
                    rawSystemCall(2, Int(bitPattern: path), 0, 0, 0)
                },
                Flavour(name: "open write", access: .write, flags: O_WRONLY) { path in
                    rawSystemCall(2, Int(bitPattern: path), 1, 0, 0)
                },
                Flavour(name: "creat", access: .write, flags: O_CREAT | O_WRONLY | O_TRUNC) { path in
                    rawSystemCall(85, Int(bitPattern: path), 0o600, 0, 0)
                },
            ]
        #endif
        return list
    }()

    #if arch(x86_64)
        static let openatNumber = 257
        static let openByHandleNumber = 304
    #else
        static let openatNumber = 56
        static let openByHandleNumber = 265
    #endif

    static func openat2(_ path: UnsafePointer<CChar>, _ flags: UInt64) -> Int {
        var how = InlineArray<3, UInt64>(repeating: 0)
        how[0] = flags
        return withUnsafeBytes(of: how) { raw in
            rawSystemCall(437, -100, Int(bitPattern: path), Int(bitPattern: raw.baseAddress), 24)
        }
    }

    /// Holds whatever `body` opens on a marked scratch file system and returns what the responder saw.
    private func observe(
        mask: UInt64, _ scratch: ScratchFileSystem, _ body: @escaping @Sendable () -> Void
    ) throws -> [(mask: UInt64, intent: OpenIntent)] {
        let group = try Fanotify.create(FanotifyTests.permission)
        #expect(Fanotify.mark(group: group.raw, .add, scope: .filesystem, mask: mask, path: scratch.path) == 0)
        let finished = FinishFlag()
        let thread = try KernelThread.start(name: "opener") {
            body()
            finished.flag.store(true, ordering: .releasing)
        }
        var seen: [(mask: UInt64, intent: OpenIntent)] = []
        FanotifyTests.serve(group: group.raw, until: finished.flag) { event in
            seen.append((event.mask, OpenIntent.ofWaiting(tid: event.pid)))
            return true
        }
        group.close()
        thread.join()
        return seen
    }

    @Test(arguments: flavours)
    func flavour(_ flavour: Flavour) throws {
        let scratch = try ScratchFileSystem()
        let path = try scratch.file("target")
        let opened = Mutex(0)
        let seen = try observe(mask: FanotifyMask.openPermission, scratch) {
            let descriptor = flavour.open(path)
            opened.withLock { $0 = descriptor }
            if descriptor >= 0 { close(Int32(descriptor)) }
        }
        #expect(opened.withLock { $0 } >= 0)
        #expect(seen.count == 1)
        let intent = seen.first?.intent
        #expect(intent?.access == flavour.access)
        #expect(intent?.isExecution == false)
        if let flags = flavour.flags, let known = intent?.flags {
            #expect(Int32(truncatingIfNeeded: known) & ~(OpenFlags.largeFile | O_CLOEXEC) == flags)
        }
    }

    @Test func openByHandle() throws {
        let scratch = try ScratchFileSystem()
        let path = try scratch.file("target")
        let file = try PathOpening.open(path, flags: OpenFlags.path)
        let handle = try FileHandle.of(descriptor: file.raw)
        file.close()
        let directory = try PathOpening.open(scratch.path, flags: OpenFlags.readOnly).release()
        defer { close(directory) }
        let opened = Mutex(0)
        let seen = try observe(mask: FanotifyMask.openPermission, scratch) {
            var raw = [UInt8]()
            withUnsafeBytes(of: handle.count) { raw += $0 }
            withUnsafeBytes(of: handle.type) { raw += $0 }
            raw += handle.bytes
            let descriptor = raw.withUnsafeBytes { bytes in
                rawSystemCall(
                    Self.openByHandleNumber, Int(directory), Int(bitPattern: bytes.baseAddress), Int(O_WRONLY), 0)
            }
            opened.withLock { $0 = descriptor }
            if descriptor >= 0 { close(Int32(descriptor)) }
        }
        #expect(opened.withLock { $0 } >= 0)
        #expect(seen.map(\.intent.access) == [.write])
    }

    @Test func executionOfAProgram() throws {
        let scratch = try ScratchFileSystem()
        let program = try PathOpening.read("/bin/true", limit: 64 << 20)
        let path = scratch.path + "/program"
        do {
            let file = try PathOpening.open(path, flags: OpenFlags.create | OpenFlags.writeOnly, mode: 0o755)
            #expect(program.withUnsafeBytes { file.write($0) } == program.count)
        }
        let end = Mutex<ProcessEnd?>(nil)
        let seen = try observe(mask: FanotifyMask.openPermission | FanotifyMask.openExecPermission, scratch) {
            let status = try? ProcessLauncher.spawn(executable: path, arguments: ["program"]).wait()
            end.withLock { $0 = status }
        }
        #expect(end.withLock { $0 } == .exited(0))
        #expect(!seen.isEmpty)
        #expect(seen.allSatisfy { $0.intent == OpenIntent(access: .read, flags: 0, isExecution: true) })
        #expect(seen.contains { $0.mask & FanotifyMask.openExecPermission != 0 })
    }

    @Test func everythingElseIsTakenForAWrite() {
        let none = InlineArray<6, UInt64>(repeating: 0)
        for state in [
            SystemCallState.running, .outsideCall, .unavailable(errno: EPERM),
            .blocked(number: 425, arguments: none), .blocked(number: 426, arguments: none),
            // open and openat of 32-bit x86.
            .blocked(number: 5, arguments: none), .blocked(number: 295, arguments: none),
            .blocked(number: 257 | 0x4000_0000, arguments: none),
        ] {
            #expect(OpenIntent.of(state, tid: 1).mayWrite)
        }
        // openat2 whose structure cannot be read.
        #expect(OpenIntent.of(.blocked(number: 437, arguments: none), tid: getpid()) == .unknown)
    }
}
