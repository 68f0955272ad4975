import Glibc
import LinuxKernel
import Testing

@testable import LinuxKernel

@Suite(.enabled(if: isRoot), .timeLimit(.minutes(10)))
struct ObjectIdentityTests {
    @Test func statusAgreesWithStat() throws {
        let scratch = try ScratchFileSystem()
        let path = try scratch.file("file", "12345")
        #expect(link(path, path + "-2") == 0)
        #expect(chown(path, 12, 34) == 0)
        var expected = stat()
        #expect(stat(path, &expected) == 0)
        let status = try ObjectStatus.of(path: path)
        #expect(status.inode == expected.st_ino)
        // The C library's encoding of a device number with a major of 0.
        #expect(status.deviceMajor == 0)
        #expect(UInt64(status.deviceMinor) == expected.st_dev & 0xff | expected.st_dev >> 12 & 0xffff_ff00)
        #expect(status.mode == expected.st_mode)
        #expect((status.uid, status.gid, status.nlink, status.size) == (12, 34, 2, 5))
        #expect(status.isRegularFile)
        let other = try ObjectStatus.of(path: path + "-2")
        #expect(status.isSameObject(as: other))
        let file = try PathOpening.open(path, flags: OpenFlags.path)
        #expect(try ObjectStatus.of(descriptor: file.raw) == status)
        #expect(status.mountID != 0)
        let mounts = try MountTable.read()
        #expect(mounts.contains { $0.id == status.mountID && $0.mountPoint == Array(scratch.path.utf8) })
    }

    @Test func symbolicLinksAreFollowedOnlyIfAsked() throws {
        let scratch = try ScratchFileSystem()
        let path = try scratch.file("file")
        let link = scratch.path + "/link"
        #expect(symlink(path, link) == 0)
        #expect(try ObjectStatus.of(path: link, follow: false).isSymbolicLink)
        #expect(try ObjectStatus.of(path: link) == ObjectStatus.of(path: path))
        let object = try PathOpening.open(link, flags: OpenFlags.path | OpenFlags.noFollow)
        #expect(try ObjectStatus.of(descriptor: object.raw).isSymbolicLink)
    }

    @Test func failuresLeaveTheStatusAlone() {
        var status = ObjectStatus()
        status.inode = 7
        #expect(ObjectStatus.read(descriptor: -1, into: &status) == -EBADF)
        #expect(ObjectStatus.read(path: "/nonexistent/x", follow: true, into: &status) == -ENOENT)
        #expect(status.inode == 7)
        #expect(throws: KernelError("statx", errno: ENOENT)) { _ = try ObjectStatus.of(path: "/nonexistent/x") }
    }

    @Test func mountIDFromFdinfoAgrees() throws {
        let scratch = try ScratchFileSystem()
        let directory = try PathOpening.open(scratch.path, flags: OpenFlags.path)
        #expect(
            try ObjectStatus.mountIDFromFdinfo(of: directory.raw) == ObjectStatus.of(descriptor: directory.raw).mountID)
    }

    @Test func handlesIdentifyAcrossRenameAndReuse() throws {
        let scratch = try ScratchFileSystem()
        let path = try scratch.file("file")
        let before = try handle(path)
        #expect(rename(path, path + "-moved") == 0)
        #expect(try handle(path + "-moved") == before)
        #expect(try handle(path + "-moved").hashValue == before.hashValue)
        #expect(unlink(path + "-moved") == 0)
        _ = try scratch.file("file")
        #expect(try handle(path) != before)
        #expect(before.bytes.count == Int(before.count))
        #expect(before.bytes.withUnsafeBytes { FileHandle(type: before.type, bytes: $0) } == before)
        let tooLong = [UInt8](repeating: 1, count: 129)
        #expect(tooLong.withUnsafeBytes { FileHandle(type: 1, bytes: $0) } == nil)
    }

    private func handle(_ path: String) throws -> FileHandle {
        let file = try PathOpening.open(path, flags: OpenFlags.path)
        return try FileHandle.of(descriptor: file.raw)
    }

    @Test func namesOfDescriptors() throws {
        let scratch = try ScratchFileSystem()
        let path = try scratch.file("a name\nwith a newline")
        let file = try PathOpening.open(path, flags: OpenFlags.readOnly)
        #expect(name(of: file.raw) == path)
        #expect(unlink(path) == 0)
        #expect(name(of: file.raw) == path + " (deleted)")
        var short = InlineArray<8, UInt8>(repeating: 0)
        withUnsafeMutableBytes(of: &short) {
            #expect(PathName.ofDescriptor(file.raw, into: $0) == -Int(ENAMETOOLONG))
            #expect(PathName.ofDescriptor(-1, into: $0) == -Int(EBADF))
        }
        var exact = InlineArray<5, UInt8>(repeating: 0)
        #expect(symlink("1234", scratch.path + "/link") == 0)
        withUnsafeMutableBytes(of: &exact) {
            #expect(PathName.readLink(scratch.path + "/link", into: $0) == 4)
            #expect($0.prefix(4).elementsEqual("1234".utf8))
        }
    }

    private func name(of descriptor: Int32) -> String {
        var buffer = InlineArray<4096, UInt8>(repeating: 0)
        return withUnsafeMutableBytes(of: &buffer) {
            String(decoding: $0.prefix(max(0, PathName.ofDescriptor(descriptor, into: $0))), as: UTF8.self)
        }
    }

    @Test func resolveFlagsConfineAWalk() throws {
        let scratch = try ScratchFileSystem()
        _ = try scratch.file("inside")
        #expect(symlink("/etc/passwd", scratch.path + "/out") == 0)
        #expect(symlink("inside", scratch.path + "/in") == 0)
        let root = try PathOpening.open(scratch.path, flags: OpenFlags.path | OpenFlags.directory)
        let open = { (path: String, resolve: ResolveFlags) throws(KernelError) -> Bool in
            _ = try PathOpening.open(directory: root.raw, path, flags: OpenFlags.path, resolve: resolve)
            return true
        }
        #expect(try open("in", .beneath))
        #expect(throws: KernelError("openat2", errno: EXDEV)) { try open("out", .beneath) }
        #expect(throws: KernelError("openat2", errno: EXDEV)) { try open("../x", .beneath) }
        #expect(throws: KernelError("openat2", errno: ENOENT)) { try open("out", .inRoot) }
        #expect(throws: KernelError("openat2", errno: ELOOP)) { try open("in", .noSymbolicLinks) }
    }

    @Test func aReadLeaseHoldsWritersOff() throws {
        let scratch = try ScratchFileSystem()
        let path = try scratch.file("program")
        let file = try PathOpening.open(path, flags: OpenFlags.readOnly)
        #expect(FileLease.takeRead(descriptor: file.raw) == 0)
        #expect(open(path, O_WRONLY | O_NONBLOCK) == -1)
        #expect(errno == EAGAIN)
        #expect(FileLease.release(descriptor: file.raw) == 0)
        let writer = try PathOpening.open(path, flags: OpenFlags.writeOnly)
        #expect(FileLease.takeRead(descriptor: file.raw) == -EAGAIN)
        writer.close()
    }
}
