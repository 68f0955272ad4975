/// Names that `Data` shows for system calls and their flags.
enum SystemCallText {
    /// `SYS_…` of the calls that can raise a file or process event; `nil` for others.
    ///
    /// Source: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
    static func name(of number: Int32) -> String? {
        #if arch(x86_64)
            switch number {
            case 2: return "SYS_OPEN"
            case 59: return "SYS_EXECVE"
            case 76: return "SYS_TRUNCATE"
            case 85: return "SYS_CREAT"
            case 257: return "SYS_OPENAT"
            case 304: return "SYS_OPEN_BY_HANDLE_AT"
            case 322: return "SYS_EXECVEAT"
            case 437: return "SYS_OPENAT2"
            default: return nil
            }
        #else
            switch number {
            case 45: return "SYS_TRUNCATE"
            case 56: return "SYS_OPENAT"
            case 221: return "SYS_EXECVE"
            case 265: return "SYS_OPEN_BY_HANDLE_AT"
            case 281: return "SYS_EXECVEAT"
            case 437: return "SYS_OPENAT2"
            default: return nil
            }
        #endif
    }

    /// The LSM hook in which KubeArmor's enforcer denies a call that reads or changes names or metadata, or connects to a name; `FILE_OPEN` for all others.
    /// It has none for owners, extended attributes and times: they get names of the same kind.
    static func hook(of number: Int32) -> String {
        #if arch(x86_64)
            switch number {
            case 87, 263: "FILE_UNLINK"
            case 84: "FILE_RMDIR"
            case 82, 264, 316: "FILE_RENAME"
            case 86, 265: "FILE_LINK"
            case 88, 266: "FILE_SYMLINK"
            case 83, 258: "FILE_MKDIR"
            case 49, 133, 259: "FILE_MKNOD"
            case 76: "FILE_TRUNCATE"
            case 90, 91, 268, 452: "FILE_CHMOD"
            case 92, 93, 94, 260: "FILE_CHOWN"
            case 188, 189, 190, 197, 198, 199, 463, 466: "FILE_SETXATTR"
            case 132, 235, 261, 280: "FILE_UTIME"
            case 0, 17, 19, 40, 275, 295, 327: "FILE_PERMISSION"
            case 42: "SOCKET_CONNECT"
            default: "FILE_OPEN"
            }
        #else
            switch number {
            case 35: "FILE_UNLINK"
            case 38, 276: "FILE_RENAME"
            case 37: "FILE_LINK"
            case 36: "FILE_SYMLINK"
            case 34: "FILE_MKDIR"
            case 33, 200: "FILE_MKNOD"
            case 45: "FILE_TRUNCATE"
            case 52, 53, 452: "FILE_CHMOD"
            case 54, 55: "FILE_CHOWN"
            case 5, 6, 7, 14, 15, 16, 463, 466: "FILE_SETXATTR"
            case 88: "FILE_UTIME"
            case 63, 65, 67, 69, 71, 76, 286: "FILE_PERMISSION"
            case 203: "SOCKET_CONNECT"
            default: "FILE_OPEN"
            }
        #endif
    }

    /// The call on a socket, as KubeArmor names it in `Data`: its monitor the call, its enforcer the LSM hook. It has hooks for making,
    /// connecting, accepting and sending only; the others get names of the same kind.
    static func socketCall(of number: Int32) -> (name: String, hook: String) {
        #if arch(x86_64)
            let calls: [Int32: String] = [
                42: "CONNECT", 43: "ACCEPT", 44: "SENDTO", 46: "SENDMSG", 49: "BIND", 50: "LISTEN", 53: "SOCKETPAIR",
                288: "ACCEPT4", 307: "SENDMMSG",
            ]
        #else
            let calls: [Int32: String] = [
                199: "SOCKETPAIR", 200: "BIND", 201: "LISTEN", 202: "ACCEPT", 203: "CONNECT", 206: "SENDTO",
                211: "SENDMSG", 242: "ACCEPT4", 269: "SENDMMSG",
            ]
        #endif
        let name = calls[number] ?? "SOCKET"
        let hook =
            switch name {
            case "SOCKET", "SOCKETPAIR": "SOCKET_CREATE"
            case "ACCEPT4": "SOCKET_ACCEPT"
            case "SENDTO", "SENDMSG", "SENDMMSG": "SOCKET_SENDMSG"
            default: "SOCKET_\(name)"
            }
        return ("SYS_\(name)", hook)
    }

    /// The hook for a query: that of the call which sends it, or would make the connection for it.
    static func queryHook(of number: Int32) -> String {
        let hook = socketCall(of: number).hook
        return hook == "SOCKET_CONNECT" ? hook : "SOCKET_SENDMSG"
    }

    /// `O_RDONLY|O_CLOEXEC`: the access mode, then the other known flags from the lowest bit up, then what is left in
    /// hexadecimal.
    ///
    /// Source: include/uapi/asm-generic/fcntl.h; arm64 moves four flags (arch/arm64/include/uapi/asm/fcntl.h).
    static func openFlags(_ flags: UInt32) -> String {
        var text = ["O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"][Int(flags & 3)]
        var rest = flags & ~3
        for (bits, name) in openFlagNames where rest & bits == bits {
            text += "|" + name
            rest &= ~bits
        }
        if rest != 0 { text += "|0x" + String(rest, radix: 16) }
        return text
    }

    /// `AT_EMPTY_PATH|AT_SYMLINK_NOFOLLOW`; empty for 0. Source: include/uapi/linux/fcntl.h.
    static func atFlags(_ flags: UInt32) -> String {
        var names: [String] = []
        var rest = flags
        for (bits, name) in [(UInt32(0x100), "AT_SYMLINK_NOFOLLOW"), (0x1000, "AT_EMPTY_PATH")]
        where rest & bits == bits {
            names.append(name)
            rest &= ~bits
        }
        if rest != 0 { names.append("0x" + String(rest, radix: 16)) }
        return names.joined(separator: "|")
    }

    // Flags that contain others' bits (O_SYNC holds O_DSYNC, O_TMPFILE holds O_DIRECTORY) come before them.
    private static let openFlagNames: [(UInt32, String)] = {
        #if arch(arm64)
            let (directory, noFollow, direct, largeFile): (UInt32, UInt32, UInt32, UInt32) =
                (0o40000, 0o100000, 0o200000, 0o400000)
        #else
            let (directory, noFollow, direct, largeFile): (UInt32, UInt32, UInt32, UInt32) =
                (0o200000, 0o400000, 0o40000, 0o100000)
        #endif
        return [
            (0o100, "O_CREAT"), (0o200, "O_EXCL"), (0o400, "O_NOCTTY"), (0o1000, "O_TRUNC"), (0o2000, "O_APPEND"),
            (0o4000, "O_NONBLOCK"), (0o4010000, "O_SYNC"), (0o10000, "O_DSYNC"), (0o20000, "O_ASYNC"),
            (direct, "O_DIRECT"), (largeFile, "O_LARGEFILE"), (0o20000000 | directory, "O_TMPFILE"),
            (directory, "O_DIRECTORY"), (noFollow, "O_NOFOLLOW"), (0o1000000, "O_NOATIME"), (0o2000000, "O_CLOEXEC"),
            (0o10000000, "O_PATH"),
        ]
    }()
}
