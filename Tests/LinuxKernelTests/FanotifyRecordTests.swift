import Glibc
import LinuxKernel
import Testing

@Suite(.enabled(if: isRoot), .timeLimit(.minutes(10)))
struct FanotifyRecordTests {
    struct Entry: Equatable {
        var mask: UInt64
        var kind: FanotifyRecord.Kind?
        var handle: FileHandle?
        var name: String
    }

    private func entries(of group: Int32) -> [Entry] {
        var buffer = InlineArray<8192, UInt8>(repeating: 0)
        var entries: [Entry] = []
        withUnsafeMutableBytes(of: &buffer) { raw in
            let count = Fanotify.read(group: group, into: raw)
            for event in FanotifyEvents(raw, count: count) {
                #expect(event.descriptor == -1)
                for record in event.records {
                    entries.append(
                        Entry(
                            mask: event.mask, kind: record.kind,
                            handle: record.handleType.flatMap { FileHandle(type: $0, bytes: record.handle) },
                            name: String(decoding: record.name, as: UTF8.self)))
                }
            }
        }
        return entries
    }

    @Test func namesOfCreatedDeletedAndRenamedFiles() throws {
        let scratch = try ScratchFileSystem()
        #expect(mkdir(scratch.path + "/one", 0o755) == 0)
        #expect(mkdir(scratch.path + "/two", 0o755) == 0)
        let one = try FileHandle.of(
            descriptor: try PathOpening.open(scratch.path + "/one", flags: OpenFlags.path).release())
        let two = try FileHandle.of(
            descriptor: try PathOpening.open(scratch.path + "/two", flags: OpenFlags.path).release())
        #expect(one != two)
        let group = try Fanotify.create([.reportDFIDName, .nonblocking, .closeOnExec])
        let mask = FanotifyMask.create | FanotifyMask.delete | FanotifyMask.rename | FanotifyMask.onDirectory
        #expect(Fanotify.mark(group: group.raw, .add, scope: .filesystem, mask: mask, path: scratch.path) == 0)
        _ = try scratch.file("one/first name")
        #expect(rename(scratch.path + "/one/first name", scratch.path + "/two/second\nname") == 0)
        #expect(unlink(scratch.path + "/two/second\nname") == 0)
        #expect(
            entries(of: group.raw) == [
                Entry(mask: FanotifyMask.create, kind: .directoryAndName, handle: one, name: "first name"),
                Entry(mask: FanotifyMask.rename, kind: .oldDirectoryAndName, handle: one, name: "first name"),
                Entry(mask: FanotifyMask.rename, kind: .newDirectoryAndName, handle: two, name: "second\nname"),
                Entry(mask: FanotifyMask.delete, kind: .directoryAndName, handle: two, name: "second\nname"),
            ])
    }

    @Test func processDescriptorOfTheOpener() throws {
        let scratch = try ScratchFileSystem()
        let path = try scratch.file("seen")
        let group = try Fanotify.create([.reportProcessDescriptor, .nonblocking, .closeOnExec])
        #expect(Fanotify.mark(group: group.raw, .add, scope: .inode, mask: FanotifyMask.open, path: path) == 0)
        let sink = try PathOpening.open("/dev/null", flags: OpenFlags.writeOnly)
        let child = try ProcessLauncher.spawn(
            executable: "/bin/cat", arguments: ["cat", path],
            descriptorMap: [ProcessLauncher.PassedDescriptor(parent: sink.raw, child: 1)])
        var buffer = InlineArray<1024, UInt8>(repeating: 0)
        var pids: [Int32] = []
        var set = PollSet()
        set.add(group.raw, .readable)
        #expect(set.wait(timeoutMilliseconds: 10_000) == 1)
        withUnsafeMutableBytes(of: &buffer) { raw in
            let count = Fanotify.read(group: group.raw, into: raw)
            for event in FanotifyEvents(raw, count: count) {
                pids.append(event.pid)
                #expect(event.records.contains { $0.kind == .processDescriptor })
                for record in event.records {
                    if let number = record.processDescriptor, number >= 0 {
                        let descriptor = Descriptor(owning: number)
                        #expect(ProcessDescriptor.sendSignal(0, to: descriptor.raw) >= -ESRCH)
                    }
                }
                close(event.descriptor)
            }
        }
        #expect(pids == [child.pid])
        #expect(try child.wait() == .exited(0))
    }

    @Test(.enabled(if: FeatureProbe.run().isAvailable("fanotify.mount-namespace-mark")))
    func mountsAttachedAndDetached() throws {
        let group = try Fanotify.create([.reportMount, .nonblocking, .closeOnExec])
        let mask = FanotifyMask.mountAttach | FanotifyMask.mountDetach
        #expect(
            Fanotify.mark(
                group: group.raw, .add, scope: .mountNamespace, mask: mask, path: "/proc/self/ns/mnt") == 0)
        var unique: UInt64 = 0
        do {
            let scratch = try ScratchFileSystem()
            let directory = try PathOpening.open(scratch.path, flags: OpenFlags.path)
            unique = try MountTable.uniqueID(of: directory.raw)
        }
        var attached = false
        var detached = false
        var buffer = InlineArray<8192, UInt8>(repeating: 0)
        withUnsafeMutableBytes(of: &buffer) { raw in
            let count = Fanotify.read(group: group.raw, into: raw)
            // Other tests mount too: only our own mount is looked for.
            for event in FanotifyEvents(raw, count: count) {
                for record in event.records where record.mountID == unique {
                    if event.mask & FanotifyMask.mountAttach != 0 { attached = true }
                    if event.mask & FanotifyMask.mountDetach != 0 { detached = true }
                }
            }
        }
        #expect(attached)
        #expect(detached)
    }

    @Test func malformedBuffersEndTheIteration() {
        var good = [UInt8](repeating: 0, count: 24)
        good.withUnsafeMutableBytes {
            $0.storeBytes(of: 24, as: UInt32.self)
            $0[4] = 3
            $0.storeBytes(of: 24, toByteOffset: 6, as: UInt16.self)
        }
        for (change, length) in [(0, 24), (4, 24), (6, 24), (-1, 20)] {
            var bytes = good
            if change >= 0 { bytes[change] = 200 }
            bytes.prefix(length).withUnsafeBytes { raw in
                var events = FanotifyEvents(raw)
                #expect(events.next() == nil)
                #expect(events.isMalformed)
            }
        }
        good.withUnsafeBytes { raw in
            var events = FanotifyEvents(raw)
            #expect(events.next()?.length == 24)
            #expect(events.next() == nil)
            #expect(!events.isMalformed)
        }
    }
}
