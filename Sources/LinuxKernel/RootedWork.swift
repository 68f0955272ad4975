import CLinux

/// Work that finds its files in another root directory: every path means what it means there, symbolic links and the names of
/// what is open included.
public enum RootedWork {
    private final class Box<Value>: @unchecked Sendable {
        // Unchecked: written by the one thread, read after it was joined.
        var result: Result<Value, KernelError>?
    }

    private struct Body<Value>: @unchecked Sendable {
        // Unchecked: the caller waits until it has run.
        var run: () -> Value
    }

    /// Runs `body` on a thread of its own whose root is `root`, and waits for it. Needs CAP_SYS_CHROOT.
    ///
    /// - Parameter root: O_PATH descriptor of a directory.
    public static func run<Value>(in root: Int32, _ body: () -> Value) throws(KernelError) -> Value {
        let box = Box<Value>()
        try withoutActuallyEscaping(body) { escaping throws(KernelError) in
            let work = Body(run: escaping)
            let thread = try KernelThread.start(name: "rooted") {
                box.result = Self.enter(root).map { work.run() }
            }
            thread.join()
        }
        guard let result = box.result else { throw KernelError("pthread_join", errno: 3) }
        return try result.get()
    }

    private static func enter(_ root: Int32) -> Result<Void, KernelError> {
        do throws(KernelError) {
            try KernelError.check("unshare(CLONE_FS)", pc_identity_begin())
            let all = try Capabilities.current().permitted
            try KernelError.check("capset", pc_identity_set_effective(all.rawValue, all.rawValue))
            try KernelError.check("chroot", pc_identity_set_root(root))
            return .success(())
        } catch { return .failure(error) }
    }
}
