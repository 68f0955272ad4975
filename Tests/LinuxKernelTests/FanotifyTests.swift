import Glibc
import LinuxKernel
import Synchronization
import Testing

@Suite(.enabled(if: isRoot), .timeLimit(.minutes(10)))
struct FanotifyTests {
    static let permission: FanotifyFlags = [
        .contentClass, .reportTID, .nonblocking, .closeOnExec, .unlimitedQueue,
    ]

    /// Answers events until `done` is set; a descriptor that never comes ends the test by the poll's timeout.
    static func serve(group: Int32, until done: borrowing Atomic<Bool>, _ decide: (FanotifyEvent) -> Bool) {
        var buffer = InlineArray<4096, UInt8>(repeating: 0)
        var idle = 0
        while !done.load(ordering: .acquiring), idle < 400 {
            var set = PollSet()
            set.add(group, .readable)
            guard set.wait(timeoutMilliseconds: 25) > 0 else {
                idle += 1
                continue
            }
            withUnsafeMutableBytes(of: &buffer) { raw in
                let count = Fanotify.read(group: group, into: raw)
                for event in FanotifyEvents(raw, count: count) {
                    let allow = decide(event)
                    if event.wantsResponse {
                        #expect(Fanotify.respond(group: group, descriptor: event.descriptor, allow: allow) == 0)
                    }
                    if event.descriptor >= 0 { close(event.descriptor) }
                }
            }
        }
    }

    @Test func deniesAndAllowsByObject() throws {
        let scratch = try ScratchFileSystem()
        let refused = try scratch.file("refused")
        let allowed = try scratch.file("allowed")
        let refusedObject = try ObjectStatus.of(path: refused)
        let group = try Fanotify.create(Self.permission)
        #expect(
            Fanotify.mark(
                group: group.raw, .add, scope: .filesystem, mask: FanotifyMask.openPermission, path: scratch.path) == 0)
        let outcome = Mutex<(refused: Int32, allowed: Int32, tid: Int32)>((0, 0, 0))
        let finished = FinishFlag()
        let thread = try KernelThread.start(name: "opener") {
            let first = open(refused, O_RDONLY) < 0 ? errno : 0
            let second = open(allowed, O_RDONLY)
            if second >= 0 { close(second) }
            outcome.withLock { $0 = (first, second < 0 ? errno : 0, KernelThread.currentID) }
            finished.flag.store(true, ordering: .releasing)
        }
        var tids: [Int32] = []
        var names: [String] = []
        Self.serve(group: group.raw, until: finished.flag) { event in
            #expect(event.mask == FanotifyMask.openPermission)
            tids.append(event.pid)
            var status = ObjectStatus()
            #expect(ObjectStatus.read(descriptor: event.descriptor, into: &status) == 0)
            var name = InlineArray<4096, UInt8>(repeating: 0)
            withUnsafeMutableBytes(of: &name) { raw in
                let length = PathName.ofDescriptor(event.descriptor, into: raw)
                #expect(length > 0)
                names.append(String(decoding: raw.prefix(max(0, length)), as: UTF8.self))
            }
            return !status.isSameObject(as: refusedObject)
        }
        group.close()
        thread.join()
        let result = outcome.withLock { $0 }
        #expect(result.refused == EPERM)
        #expect(result.allowed == 0)
        #expect(tids == [result.tid, result.tid])
        #expect(names == [refused, allowed])
    }

    @Test func ignoreMarkSilencesOneInode() throws {
        let scratch = try ScratchFileSystem()
        let quiet = try scratch.file("quiet")
        let loud = try scratch.file("loud")
        let group = try Fanotify.create([.nonblocking, .closeOnExec])
        let mark = { (scope: MarkScope, options: MarkOptions, path: String) in
            Fanotify.mark(
                group: group.raw, .add, scope: scope, options: options, mask: FanotifyMask.open, path: path)
        }
        #expect(mark(.filesystem, [], scratch.path) == 0)
        #expect(mark(.inode, [.ignoredMask, .ignoreSurvivingModify], quiet) == 0)
        for path in [quiet, loud, quiet] { close(open(path, O_RDONLY)) }
        #expect(try names(of: group.raw) == [loud])
        #expect(
            Fanotify.mark(
                group: group.raw, .remove, scope: .inode, options: [.ignoredMask, .ignoreSurvivingModify],
                mask: FanotifyMask.open, path: quiet) == 0)
        close(open(quiet, O_RDONLY))
        #expect(try names(of: group.raw) == [quiet])
        #expect(Fanotify.mark(group: group.raw, .flush, scope: .filesystem, mask: 0, path: scratch.path) == 0)
        close(open(loud, O_RDONLY))
        #expect(try names(of: group.raw) == [])
    }

    private func names(of group: Int32) throws -> [String] {
        var buffer = InlineArray<4096, UInt8>(repeating: 0)
        var names: [String] = []
        withUnsafeMutableBytes(of: &buffer) { raw in
            let count = Fanotify.read(group: group, into: raw)
            for event in FanotifyEvents(raw, count: count) {
                var name = InlineArray<4096, UInt8>(repeating: 0)
                withUnsafeMutableBytes(of: &name) { bytes in
                    let length = PathName.ofDescriptor(event.descriptor, into: bytes)
                    names.append(String(decoding: bytes.prefix(max(0, length)), as: UTF8.self))
                }
                close(event.descriptor)
            }
        }
        return names
    }

    @Test func refusesWhatTheKernelRefuses() throws {
        #expect(throws: KernelError("fanotify_init", errno: EINVAL)) {
            _ = try Fanotify.create([.contentClass, .reportFID])
        }
        let scratch = try ScratchFileSystem()
        let file = try scratch.file("plain")
        let group = try Fanotify.create([.nonblocking])
        #expect(
            Fanotify.mark(
                group: group.raw, .add, scope: .inode, options: .onlyDirectory, mask: FanotifyMask.open, path: file)
                == -ENOTDIR)
        var buffer = InlineArray<64, UInt8>(repeating: 0)
        withUnsafeMutableBytes(of: &buffer) { #expect(Fanotify.read(group: group.raw, into: $0) == -Int(EAGAIN)) }
        let permission = try Fanotify.create(Self.permission)
        #expect(Fanotify.respond(group: permission.raw, descriptor: 777, allow: true) == -ENOENT)
    }

    @Test func closingTheGroupReleasesAWaiter() throws {
        let scratch = try ScratchFileSystem()
        let path = try scratch.file("held")
        let group = try Fanotify.create(Self.permission)
        #expect(
            Fanotify.mark(group: group.raw, .add, scope: .inode, mask: FanotifyMask.openPermission, path: path) == 0)
        let opened = Mutex<Int32>(-1)
        let thread = try KernelThread.start(name: "opener") {
            let descriptor = open(path, O_RDONLY)
            opened.withLock { $0 = descriptor < 0 ? -errno : 0 }
            if descriptor >= 0 { close(descriptor) }
        }
        var set = PollSet()
        set.add(group.raw, .readable)
        #expect(set.wait(timeoutMilliseconds: 10_000) == 1)
        group.close()
        thread.join()
        #expect(opened.withLock { $0 } == 0)
    }
}

/// A flag that a thread and a test share.
final class FinishFlag: Sendable {
    let flag = Atomic(false)
}
