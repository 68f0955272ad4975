import CLinux

/// Work that finds its files in another root directory: every path means what it means there, symbolic links and the names of
/// what is open included.
public enum RootedWork {
    /// Runs `body` on a thread of its own whose root is `root`, and waits for it. Needs CAP_SYS_CHROOT.
    ///
    /// - Parameters:
    ///   - root: O_PATH descriptor of a directory.
    ///   - limit: milliseconds; ETIMEDOUT when it takes longer, and then it goes on with nobody who waits for it.
    public static func run<Value: Sendable>(
        in root: Int32, withinMilliseconds limit: Int32, _ body: @escaping @Sendable () -> Value
    ) throws(KernelError) -> Value {
        // The caller may close its own meanwhile.
        let holder = Holder(try Descriptor.duplicating(root))
        return try AsideWork.run(name: "rooted", withinMilliseconds: limit) { () throws(KernelError) in
            try KernelError.check("unshare(CLONE_FS)", pc_identity_begin())
            let all = try Capabilities.current().permitted
            try KernelError.check("capset", pc_identity_set_effective(all.rawValue, all.rawValue))
            try KernelError.check("chroot", pc_identity_set_root(holder.descriptor.raw))
            return body()
        }
    }

    private final class Holder: Sendable {
        let descriptor: Descriptor
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    }
}
