import Glibc
import LinuxKernel
import Testing

@Suite(.timeLimit(.minutes(10)))
struct UnixSocketTests {
    @Test func descriptorsTravelWithBytes() throws {
        let pair = try UnixSocket.pair()
        let first = try SealedMemory.create(name: "a", bytes: Array("one".utf8))
        let second = try SealedMemory.create(name: "b", bytes: Array("two".utf8))
        #expect(try UnixSocket.send(pair.first.raw, bytes: [1, 2, 3], descriptors: [first.raw, second.raw]) == 3)
        #expect(try UnixSocket.send(pair.first.raw, bytes: [4]) == 1)
        var buffer = InlineArray<16, UInt8>(repeating: 0)
        try withUnsafeMutableBytes(of: &buffer) { raw in
            var message = try UnixSocket.receive(pair.second.raw, into: raw)
            #expect((message.length, message.descriptorCount) == (3, 2))
            #expect(raw.prefix(3).elementsEqual([1, 2, 3]))
            let taken = message.takeDescriptor(at: 1)
            let isTaken = taken != nil
            #expect(isTaken)
            if let taken {
                #expect(fcntl(taken.raw, F_GETFD) == FD_CLOEXEC)
                #expect(try ObjectStatus.of(descriptor: taken.raw) == ObjectStatus.of(descriptor: second.raw))
            }
            let again = message.takeDescriptor(at: 1) == nil
            #expect(again)
            let next = try UnixSocket.receive(pair.second.raw, into: raw)
            #expect((next.length, next.descriptorCount) == (1, 0))
        }
    }

    @Test func descriptorsNotTakenAreClosed() throws {
        let pair = try UnixSocket.pair()
        let pipe = try Pipe()
        let reader = try pipe.reader.duplicate()
        try UnixSocket.send(pair.first.raw, bytes: [1], descriptors: [pipe.writer.raw])
        drop(pipe)
        try receiveAndDrop(pair.second.raw)
        var set = PollSet()
        set.add(reader.raw, .readable)
        _ = set.wait(timeoutMilliseconds: 0)
        #expect(set.events(at: 0).contains(.hangUp))
    }

    private func drop(_ pipe: consuming Pipe) {}

    private func receiveAndDrop(_ socket: Int32) throws {
        var buffer = InlineArray<16, UInt8>(repeating: 0)
        try withUnsafeMutableBytes(of: &buffer) { raw in
            let message = try UnixSocket.receive(socket, into: raw)
            #expect(message.descriptorCount == 1)
        }
    }

    @Test func whatDoesNotFitIsAnError() throws {
        let pair = try UnixSocket.pair()
        var buffer = InlineArray<4, UInt8>(repeating: 0)
        try UnixSocket.send(pair.first.raw, bytes: [1, 2, 3, 4, 5])
        let second = pair.second.raw
        #expect(throws: KernelError("recvmsg", errno: EMSGSIZE)) {
            try withUnsafeMutableBytes(of: &buffer) { _ = try UnixSocket.receive(second, into: $0) }
        }
        #expect(throws: KernelError("recvmsg", errno: EAGAIN)) {
            try withUnsafeMutableBytes(of: &buffer) { _ = try UnixSocket.receive(second, into: $0, nonblocking: true) }
        }
        let first = pair.first.raw
        #expect(throws: KernelError("sendmsg", errno: EINVAL)) {
            try UnixSocket.send(first, bytes: [1], descriptors: [Int32](repeating: 0, count: 9))
        }
    }

    @Test func theEndOfTheOtherSide() throws {
        let pair = try UnixSocket.pair()
        let second = try pair.second.duplicate()
        closeBoth(pair)
        var buffer = InlineArray<4, UInt8>(repeating: 0)
        try withUnsafeMutableBytes(of: &buffer) { raw in
            let message = try UnixSocket.receive(second.raw, into: raw)
            #expect((message.length, message.descriptorCount) == (0, 0))
        }
        let raw = second.raw
        #expect(throws: KernelError("sendmsg", errno: EPIPE)) { try UnixSocket.send(raw, bytes: [1]) }
    }

    private func closeBoth(_ pair: consuming UnixSocket.Pair) {}

    @Test(.enabled(if: isRoot), arguments: [0o600, 0o660, 0o666] as [UInt32])
    func listenersHaveTheirMode(_ mode: UInt32) throws {
        let scratch = try ScratchFileSystem()
        let path = scratch.path + "/socket"
        let listener = try UnixSocket.listen(path: path, mode: mode)
        let status = try ObjectStatus.of(path: path, follow: false)
        #expect(status.isSocket)
        #expect(status.mode & 0o7777 == mode)
        let client = try UnixSocket.connect(path: path)
        let server = try UnixSocket.accept(listener.raw)
        let peer = try UnixSocket.peer(of: server.raw)
        #expect(peer == UnixSocket.Peer(pid: getpid(), uid: geteuid(), gid: getegid()))
        #expect(throws: KernelError("listen", errno: EADDRINUSE)) {
            _ = try UnixSocket.listen(path: path, mode: mode, replacingStale: true)
        }
        listener.close()
        client.close()
        #expect(throws: KernelError("listen", errno: EADDRINUSE)) { _ = try UnixSocket.listen(path: path, mode: mode) }
        _ = try UnixSocket.listen(path: path, mode: mode, replacingStale: true)
        #expect(throws: KernelError("connect", errno: ENAMETOOLONG)) {
            _ = try UnixSocket.connect(path: String(repeating: "x", count: 108))
        }
    }

    @Test(.enabled(if: isRoot))
    func aFileThatIsNoSocketIsNotReplaced() throws {
        let scratch = try ScratchFileSystem()
        let path = try scratch.file("precious", "keep")
        #expect(throws: KernelError("listen", errno: EADDRINUSE)) {
            _ = try UnixSocket.listen(path: path, mode: 0o600, replacingStale: true)
        }
        #expect(try PathOpening.read(path, limit: 10) == Array("keep".utf8))
    }
}
