import Glibc
import LinuxKernel
import Testing

/// A tmpfs of the test's own, gone with this object: marks on its superblock concern nobody else.
final class ScratchFileSystem: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/portcullis-test-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { buffer -> String? in
            guard let base = buffer.baseAddress, let name = mkdtemp(base) else { return nil }
            return String(cString: name)
        }
        path = try #require(made)
        guard mount("portcullis-test", path, "tmpfs", 0, "size=64m") == 0 else {
            rmdir(path)
            throw KernelError("mount", errno: errno)
        }
    }

    deinit {
        umount2(path, Int32(MNT_DETACH))
        rmdir(path)
    }

    func file(_ name: String, _ contents: String = "x") throws -> String {
        let full = path + "/" + name
        let file = try PathOpening.open(
            full, flags: OpenFlags.create | OpenFlags.writeOnly | OpenFlags.truncate, mode: 0o755)
        let bytes = Array(contents.utf8)
        #expect(bytes.withUnsafeBytes { file.write($0) } == bytes.count)
        return full
    }
}

let isRoot = geteuid() == 0

/// syscall(2) with integer arguments. The C library's stub moves registers only, so the fixed signature is right for it.
let rawSystemCall: @convention(c) (Int, Int, Int, Int, Int) -> Int = {
    typealias Function = @convention(c) (Int, Int, Int, Int, Int) -> Int
    guard let symbol = dlsym(nil, "syscall") else { return { _, _, _, _, _ in -1 } }
    return unsafeBitCast(symbol, to: Function.self)
}()

/// Everything a pipe's writers write, until all have closed it.
func readToEnd(_ descriptor: borrowing Descriptor) throws -> String {
    String(decoding: try descriptor.readAll(limit: 1 << 20), as: UTF8.self)
}

/// The error that `body` throws, nil if none.
func error(of body: () throws(KernelError) -> Void) -> KernelError? {
    do throws(KernelError) {
        try body()
        return nil
    } catch {
        return error
    }
}
