import CLinux

/// Work that finds its files in another root directory: every path means what it means there, symbolic links and the names of
/// what is open included.
public enum RootedWork {
    /// Runs `body` on a thread of its own whose root is `root`, and waits for it. Needs CAP_SYS_CHROOT.
    ///
    /// - Parameter root: O_PATH descriptor of a directory.
    public static func run<Value>(in root: Int32, _ body: () -> Value) throws(KernelError) -> Value {
        try AsideWork.run(name: "rooted") { () throws(KernelError) in
            try KernelError.check("unshare(CLONE_FS)", pc_identity_begin())
            let all = try Capabilities.current().permitted
            try KernelError.check("capset", pc_identity_set_effective(all.rawValue, all.rawValue))
            try KernelError.check("chroot", pc_identity_set_root(root))
            return body()
        }
    }
}
