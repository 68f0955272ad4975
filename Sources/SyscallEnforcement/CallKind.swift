/// What a notified call is. The cases have the calls' names.
enum CallKind: UInt8, CaseIterable {
    /// Nothing that a filter of ours asks about.
    case unknown
    case socket, socketpair
    case mmap, mmap2
    case open, openat, creat
    case execve, execveat
    case bind
    case connect, listen, accept, accept4, sendto, sendmsg, sendmmsg
    case unlink, unlinkat, rmdir
    case rename, renameat, renameat2
    case link, linkat, symlink, symlinkat
    case mkdir, mkdirat, mknod, mknodat
    case truncate, truncate64
    case chmod, fchmod, fchmodat
    case chown, lchown, fchown, fchownat
    // i386: the calls above have ids of 16 bits there.
    case chown32, lchown32, fchown32
    case setxattr, lsetxattr, fsetxattr, removexattr, lremovexattr, fremovexattr
    case utime, utimes, futimesat, utimensat
    // i386: seconds of 64 bits.
    case utimensat_time64

    /// The calls that open for writing without a flag, or that change names or metadata: each is notified whatever its registers are.
    static let changes: [CallKind] = allCases.filter {
        switch $0 {
        case .unknown, .socket, .socketpair, .mmap, .mmap2, .open, .openat, .execve, .execveat, .connect, .listen,
            .accept,
            .accept4, .sendto, .sendmsg, .sendmmsg:
            false
        default: true
        }
    }

    /// The call's name.
    var name: String { "\(self)" }
}
