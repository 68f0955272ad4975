import LinuxKernel

/// Which files open(2) with O_CREAT may not take over in a directory that others can write: fs.protected_regular and
/// fs.protected_fifos (proc(5), Linux 4.19). The kernel checks it only for opens that may create.
struct StickyRules {
    private let regular: Int64
    private let pipes: Int64

    /// Reads the kernel's settings; one that cannot be read counts as the strictest.
    init() {
        regular = (try? KernelSetting.number("fs/protected_regular")) ?? 2
        pipes = (try? KernelSetting.number("fs/protected_fifos")) ?? 2
    }

    /// Whether `user` may not open what is there already.
    func forbids(_ object: ObjectStatus, in directory: Int32, _ user: UInt32) -> Bool {
        var holder = ObjectStatus()
        // What a link of procfs led to has no directory.
        guard directory >= 0 else { return false }
        guard ObjectStatus.read(descriptor: directory, into: &holder) == 0 else { return true }
        if object.isPipe && pipes == 0 || object.isRegularFile && regular == 0 { return false }
        if holder.mode & 0o1000 == 0 || object.uid == holder.uid || object.uid == user { return false }
        if holder.mode & 0o002 != 0 { return true }
        let level = object.isPipe ? pipes : object.isRegularFile ? regular : 0
        return holder.mode & 0o020 != 0 && level >= 2
    }
}
