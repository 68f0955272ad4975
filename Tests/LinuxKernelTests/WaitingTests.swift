import Glibc
import LinuxKernel
import Testing

@Suite(.timeLimit(.minutes(10)))
struct WaitingTests {
    @Test func eventDescriptorsCount() throws {
        let event = try EventDescriptor()
        #expect(event.drain() == 0)
        event.signal()
        EventDescriptor.signal(event.descriptor.raw)
        var set = PollSet()
        set.add(event.descriptor.raw, .readable)
        #expect(set.wait(timeoutMilliseconds: 0) == 1)
        #expect(event.drain() == 2)
        #expect(set.wait(timeoutMilliseconds: 0) == 0)
        #expect(set.events(at: 0) == [])
    }

    @Test func timersExpireAndCanBeDisarmed() throws {
        let timer = try TimerDescriptor()
        try timer.arm(first: 3_600_000_000_000)
        #expect(timer.expirations() == 0)
        try timer.arm(first: 0, interval: 1_000_000)
        var set = PollSet()
        set.add(timer.descriptor.raw, .readable)
        #expect(set.wait(timeoutMilliseconds: 10_000) == 1)
        #expect(timer.expirations() >= 1)
        try timer.disarm()
        _ = timer.expirations()
        #expect(set.wait(timeoutMilliseconds: 0) == 0)
    }

    @Test func pollSetsHaveALimit() throws {
        let pipe = try Pipe()
        var set = PollSet()
        for index in 0..<PollSet.capacity { #expect(set.add(pipe.reader.raw, .readable) == index) }
        #expect(set.add(pipe.reader.raw, .readable) == nil)
        #expect(set.wait(timeoutMilliseconds: 0) == 0)
        #expect([UInt8(1)].withUnsafeBytes { pipe.writer.write($0) } == 1)
        #expect(set.wait(timeoutMilliseconds: 0) == 32)
        set.replace(at: 3, -1, .readable)
        #expect(set.wait(timeoutMilliseconds: 0) == 31)
        #expect(set.events(at: 3) == [])
        #expect(set.events(at: 31) == .readable)
        #expect(set.events(at: 32) == [])
        set.removeAll()
        set.add(99_999, .readable)
        #expect(set.wait(timeoutMilliseconds: 0) == 1)
        #expect(set.events(at: 0) == .invalid)
    }

    @Test(.enabled(if: isRoot))
    func inotifyTellsOfADirectory() throws {
        let scratch = try ScratchFileSystem()
        let inotify = try Inotify()
        let watch = try inotify.add(scratch.path, .directoryChanges.union(.onlyDirectory))
        #expect(try inotify.events() == [])
        let path = try scratch.file("policy.yaml", "text")
        #expect(rename(path, scratch.path + "/other.yaml") == 0)
        #expect(unlink(scratch.path + "/other.yaml") == 0)
        let events = try inotify.events()
        #expect(events.allSatisfy { $0.watch == watch })
        let name = Array("policy.yaml".utf8)
        let other = Array("other.yaml".utf8)
        #expect(events.map(\.mask) == [.create, .modify, .closeWrite, .movedFrom, .movedTo, .delete])
        #expect(events.map(\.name) == [name, name, name, name, other, other])
        #expect(events[3].cookie == events[4].cookie)
        #expect(events[3].cookie != 0)
        try inotify.remove(watch)
        #expect(try inotify.events().map(\.mask) == [.watchRemoved])
        #expect(throws: KernelError("inotify_add_watch", errno: ENOENT)) {
            _ = try Inotify().add("/nonexistent/directory", .create)
        }
    }

    @Test func signalsAreReadFromADescriptor() async {
        await #expect(processExitsWith: .success) {
            alarm(20)
            let signals = try SignalDescriptor([SIGUSR1, SIGTERM])
            #expect(try signals.next() == nil)
            // To this thread only: the test process has others that do not block it.
            #expect(pthread_kill(pthread_self(), SIGUSR1) == 0)
            let received = try signals.next()
            exit(received?.number == SIGUSR1 && received?.pid == getpid() ? EXIT_SUCCESS : EXIT_FAILURE)
        }
    }
}
