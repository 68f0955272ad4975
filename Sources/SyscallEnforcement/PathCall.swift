import LinuxKernel

/// A call that opens, executes, or changes a name or metadata, with its arguments in one form whatever its number: registers only,
/// nothing has been read from memory.
struct PathCall {
    /// What it does.
    enum Operation {
        case open, execute, bind, unlink, rename, link, symlink, makeDirectory, makeNode, truncate, setMode, setOwner,
            setAttribute,
            removeAttribute, setTimes
    }

    /// What a path is relative to, and where it stands in the caller's memory.
    struct Path {
        /// A descriptor of the caller, or AT_FDCWD.
        var directory: Int32
        /// 0 where the call has none.
        var address: UInt64

        /// No path.
        static let none = Path(directory: OpenFlags.currentDirectory, address: 0)
    }

    /// How the caller's memory has the two times.
    enum TimeLayout {
        /// `struct timespec`, `struct timeval` or `struct utimbuf`; members of 8 or 4 bytes.
        case timespec(wide: Bool), timeval(wide: Bool), utimbuf(wide: Bool)
    }

    let operation: Operation
    /// The object; for links, the existing one.
    var path = Path.none
    /// The new name.
    var newPath = Path.none
    /// The object is what the descriptor `path.directory` is open on.
    var isDescriptor = false
    /// A symbolic link at the end means what it points to.
    var follows = true
    /// An empty path means the descriptor's object.
    var mayBeEmpty = false
    /// The call's flags: O_*, AT_*, RENAME_* or XATTR_*.
    var flags: UInt32 = 0
    var mode: UInt32 = 0
    /// A device number, or a length.
    var number: UInt64 = 0
    var user = UInt32.max
    var group = UInt32.max
    /// Name and value of an attribute, or the two times: addresses in the caller's memory.
    var nameAddress: UInt64 = 0
    var valueAddress: UInt64 = 0
    var valueLength: UInt64 = 0
    var timeLayout = TimeLayout.timespec(wide: true)

    private static let (noFollow, follow, emptyPath): (UInt32, UInt32, UInt32) = (0x100, 0x400, 0x1000)

    /// Errno of a call that the kernel would refuse for its registers alone; 0 for none.
    var refusal: Int32 {
        let known: UInt32
        switch operation {
        case .truncate: return Int64(bitPattern: number) < 0 ? 22 : 0
        case .unlink: known = 0x200
        case .link: known = Self.follow | Self.emptyPath
        case .execute: known = Self.noFollow | Self.emptyPath
        case .setOwner, .setTimes: known = isDescriptor ? .max : Self.noFollow | Self.emptyPath
        default: known = .max
        }
        return flags & ~known == 0 ? 0 : 22
    }

    /// Done twice it comes to something else than done once.
    var countsRepeats: Bool {
        switch operation {
        case .open: flags & UInt32(bitPattern: OpenFlags.create) != 0
        case .execute, .setMode, .setOwner, .setTimes: false
        case .bind, .unlink, .rename, .link, .symlink, .makeDirectory, .makeNode, .truncate, .setAttribute,
            .removeAttribute:
            true
        }
    }

    /// Takes a call apart; `nil` for one that is none of these.
    init?(_ kind: CallKind, _ call: SystemCallNotification) {
        let isWide = call.architecture != Architecture.i386.rawValue
        func word(_ index: Int) -> UInt32 { UInt32(truncatingIfNeeded: call.argument(index)) }
        func path(_ index: Int) -> Path { Path(directory: OpenFlags.currentDirectory, address: call.argument(index)) }
        func pathAt(_ index: Int) -> Path {
            Path(directory: Int32(bitPattern: word(index)), address: call.argument(index + 1))
        }
        /// On i386 the calls that were there first have ids of 16 bits.
        func id(_ index: Int, isShort: Bool = false) -> UInt32 {
            guard isShort, !isWide else { return word(index) }
            let value = word(index) & 0xFFFF
            return value == 0xFFFF ? .max : value
        }
        switch kind {
        case .unknown, .socket, .socketpair, .mmap, .mmap2, .connect, .listen, .accept, .accept4, .sendto, .sendmsg,
            .sendmmsg:
            return nil
        case .open:
            self.init(.open, path(0), flags: word(1), mode: word(2))
        case .openat:
            self.init(.open, pathAt(0), flags: word(2), mode: word(3))
        case .creat:
            self.init(
                .open, path(0),
                flags: UInt32(bitPattern: OpenFlags.create | OpenFlags.writeOnly | OpenFlags.truncate), mode: word(1))
        case .execve: self.init(.execute, path(0))
        case .execveat:
            self.init(.execute, pathAt(0), flags: word(4))
            takeLookupFlags()
        case .bind:
            self.init(.bind, Path(directory: Int32(bitPattern: word(0)), address: call.argument(1)))
            valueLength = UInt64(word(2))
        case .unlink: self.init(.unlink, path(0))
        case .rmdir: self.init(.unlink, path(0), flags: 0x200)
        case .unlinkat: self.init(.unlink, pathAt(0), flags: word(2))
        case .rename: self.init(.rename, path(0), to: path(1))
        case .renameat: self.init(.rename, pathAt(0), to: pathAt(2))
        case .renameat2: self.init(.rename, pathAt(0), to: pathAt(2), flags: word(4))
        case .link:
            self.init(.link, path(0), to: path(1))
            follows = false
        case .linkat:
            self.init(.link, pathAt(0), to: pathAt(2), flags: word(4))
            follows = flags & Self.follow != 0
            mayBeEmpty = flags & Self.emptyPath != 0
        case .symlink:
            self.init(.symlink, path(1))
            valueAddress = call.argument(0)
        case .symlinkat:
            self.init(.symlink, pathAt(1))
            valueAddress = call.argument(0)
        case .mkdir: self.init(.makeDirectory, path(0), mode: word(1))
        case .mkdirat: self.init(.makeDirectory, pathAt(0), mode: word(2))
        case .mknod:
            self.init(.makeNode, path(0), mode: word(1))
            number = UInt64(word(2))
        case .mknodat:
            self.init(.makeNode, pathAt(0), mode: word(2))
            number = UInt64(word(3))
        case .truncate:
            self.init(.truncate, path(0))
            number = isWide ? call.argument(1) : UInt64(bitPattern: Int64(Int32(bitPattern: word(1))))
        case .truncate64:
            self.init(.truncate, path(0))
            number = UInt64(word(1)) | UInt64(word(2)) << 32
        case .chmod: self.init(.setMode, path(0), mode: word(1))
        case .fchmodat: self.init(.setMode, pathAt(0), mode: word(2))
        case .fchmod: self.init(.setMode, descriptor: word(0), mode: word(1))
        case .chown, .chown32, .lchown, .lchown32:
            let isShort = kind == .chown || kind == .lchown
            self.init(.setOwner, path(0))
            (user, group) = (id(1, isShort: isShort), id(2, isShort: isShort))
            follows = kind == .chown || kind == .chown32
        case .fchown, .fchown32:
            self.init(.setOwner, descriptor: word(0))
            (user, group) = (id(1, isShort: kind == .fchown), id(2, isShort: kind == .fchown))
        case .fchownat:
            self.init(.setOwner, pathAt(0), flags: word(4))
            (user, group) = (id(2), id(3))
            takeLookupFlags()
        case .setxattr, .lsetxattr:
            self.init(.setAttribute, path(0), flags: word(4))
            takeAttribute(call, follows: kind == .setxattr)
        case .fsetxattr:
            self.init(.setAttribute, descriptor: word(0), flags: word(4))
            takeAttribute(call, follows: true)
        case .removexattr, .lremovexattr:
            self.init(.removeAttribute, path(0))
            nameAddress = call.argument(1)
            follows = kind == .removexattr
        case .fremovexattr:
            self.init(.removeAttribute, descriptor: word(0))
            nameAddress = call.argument(1)
        case .utime:
            self.init(.setTimes, path(0))
            valueAddress = call.argument(1)
            timeLayout = .utimbuf(wide: isWide)
        case .utimes:
            self.init(.setTimes, path(0))
            valueAddress = call.argument(1)
            timeLayout = .timeval(wide: isWide)
        case .futimesat:
            self.init(.setTimes, pathAt(0))
            valueAddress = call.argument(2)
            timeLayout = .timeval(wide: isWide)
            takeMissingPath()
        case .utimensat, .utimensat_time64:
            self.init(.setTimes, pathAt(0), flags: word(3))
            valueAddress = call.argument(2)
            timeLayout = .timespec(wide: isWide || kind == .utimensat_time64)
            takeLookupFlags()
            takeMissingPath()
        }
    }

    private init(_ operation: Operation, _ path: Path, to newPath: Path = .none, flags: UInt32 = 0, mode: UInt32 = 0) {
        self.operation = operation
        self.path = path
        self.newPath = newPath
        self.flags = flags
        self.mode = mode
    }

    private init(_ operation: Operation, descriptor: UInt32, flags: UInt32 = 0, mode: UInt32 = 0) {
        self.init(operation, Path(directory: Int32(bitPattern: descriptor), address: 0), flags: flags, mode: mode)
        isDescriptor = true
    }

    private mutating func takeLookupFlags() {
        follows = flags & Self.noFollow == 0
        mayBeEmpty = flags & Self.emptyPath != 0
    }

    /// utimensat(2): without a path it is futimens(3).
    private mutating func takeMissingPath() {
        isDescriptor = path.address == 0 && path.directory != OpenFlags.currentDirectory
    }

    private mutating func takeAttribute(_ call: SystemCallNotification, follows: Bool) {
        self.follows = follows
        nameAddress = call.argument(1)
        valueAddress = call.argument(2)
        valueLength = call.argument(3)
    }
}
