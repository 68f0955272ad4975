import Glibc
import LinuxKernel
import Testing

@Suite(.timeLimit(.minutes(10)))
struct DescriptorTests {
    /// Numbers are reused at once by other tests, so closing is seen through the other end of a pipe.
    private func readerSeesEnd(_ use: (consuming Descriptor) throws -> Void) throws -> Bool {
        let pipe = try Pipe()
        let reader = pipe.reader.raw
        let ends = pipe
        let writer = try ends.writer.duplicate()
        try use(writer)
        return try closesWriter(ends, reader)
    }

    private func closesWriter(_ pipe: consuming Pipe, _ reader: Int32) throws -> Bool {
        let copy = try Descriptor.duplicating(reader)
        _ = consume pipe
        var set = PollSet()
        set.add(copy.raw, .readable)
        _ = set.wait(timeoutMilliseconds: 0)
        return set.events(at: 0).contains(.hangUp)
    }

    @Test func closesOnceAtTheEndOrWhenTold() throws {
        #expect(try readerSeesEnd { descriptor in _ = consume descriptor })
        #expect(try readerSeesEnd { descriptor in descriptor.close() })
    }

    @Test func releaseKeepsItOpen() throws {
        var number: Int32 = -1
        #expect(try !readerSeesEnd { descriptor in number = descriptor.release() })
        #expect(close(number) == 0)
    }

    @Test func closeOnExecIsSetAndCanBeCleared() throws {
        let pipe = try Pipe()
        #expect(fcntl(pipe.reader.raw, F_GETFD) == FD_CLOEXEC)
        try pipe.reader.setCloseOnExec(false)
        #expect(fcntl(pipe.reader.raw, F_GETFD) == 0)
        let copy = try pipe.reader.duplicate()
        #expect(fcntl(copy.raw, F_GETFD) == FD_CLOEXEC)
    }

    @Test func readAllStopsAtItsLimit() throws {
        let pipe = try Pipe()
        let bytes = [UInt8](repeating: 65, count: 10_000)
        #expect(bytes.withUnsafeBytes { pipe.writer.write($0) } == 10_000)
        #expect(throws: KernelError("read", errno: EFBIG)) { _ = try pipe.reader.readAll(limit: 9_999) }
        let memory = try SealedMemory.create(name: "test", bytes: bytes)
        #expect(lseek(memory.raw, 0, SEEK_SET) == 0)
        #expect(try memory.readAll(limit: 10_000) == bytes)
    }

    @Test func errorsDescribeThemselves() {
        let error = KernelError("fanotify_init", errno: EPERM)
        #expect(error.description == "fanotify_init: Operation not permitted")
        #expect(error != KernelError("fanotify_init", errno: EINVAL))
        #expect(error != KernelError("fanotify_mark", errno: EPERM))
    }
}
