import Glibc

/// What keeps a spool from being used.
public struct SpoolError: Error, Equatable, CustomStringConvertible {
    /// What was tried.
    public let operation: StaticString
    /// errno.
    public let errno: Int32

    init(_ operation: StaticString, _ errno: Int32) {
        self.operation = operation
        self.errno = errno
    }

    /// For people.
    public var description: String { "\(operation): \(String(cString: strerror(errno)))" }

    /// Compares operation and errno.
    public static func == (a: SpoolError, b: SpoolError) -> Bool {
        a.errno == b.errno && a.operation.description == b.operation.description
    }
}

/// The directory of a spool: its segments are files named by 16 hexadecimal digits and `.seg`.
struct SpoolDirectory: ~Copyable {
    private let descriptor: Int32

    init(path: String) throws(SpoolError) {
        descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw SpoolError("open the spool's directory", errno) }
    }

    /// A directory that is open already, which the caller goes on owning. Whoever may not reach it by name can be handed it.
    init(descriptor: Int32) throws(SpoolError) {
        self.descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        guard self.descriptor >= 0 else { throw SpoolError("duplicate the spool's directory", errno) }
    }

    deinit { close(descriptor) }

    /// Numbers of the segments, ascending. Anything else in the directory is left alone.
    borrowing func segments() -> [UInt64] {
        // A stream of its own each time: fdopendir(3) takes the descriptor over, and its position is shared.
        let copy = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0 else { return [] }
        guard let stream = fdopendir(copy) else {
            close(copy)
            return []
        }
        defer { closedir(stream) }
        var numbers: [UInt64] = []
        while let entry = readdir(stream) {
            let number = withUnsafeBytes(of: &entry.pointee.d_name) { Self.number($0) }
            if let number { numbers.append(number) }
        }
        return numbers.sorted()
    }

    /// Opens a segment for reading; negative errno when there is none.
    borrowing func open(_ number: UInt64) -> Int32 {
        let result = openat(descriptor, Self.name(number), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        return result >= 0 ? result : -errno
    }

    /// Makes a segment, for its writer and for reading by its group; negative errno when it cannot be made.
    borrowing func create(_ number: UInt64) -> Int32 {
        let result = openat(
            descriptor, Self.name(number), O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o640)
        return result >= 0 ? result : -errno
    }

    borrowing func remove(_ number: UInt64) { unlinkat(descriptor, Self.name(number), 0) }

    borrowing func exists(_ number: UInt64) -> Bool { faccessat(descriptor, Self.name(number), F_OK, 0) == 0 }

    borrowing func size(_ number: UInt64) -> UInt64 {
        var status = stat()
        return fstatat(descriptor, Self.name(number), &status, AT_SYMLINK_NOFOLLOW) == 0 ? UInt64(status.st_size) : 0
    }

    /// The head of a segment; `nil` when there is none or it is none of ours.
    borrowing func header(_ number: UInt64) -> SpoolFormat.Header? {
        let file = open(number)
        guard file >= 0 else { return nil }
        defer { close(file) }
        return Self.header(of: file, number)
    }

    /// The head of an open segment.
    static func header(of file: Int32, _ number: UInt64) -> SpoolFormat.Header? {
        var bytes = InlineArray<64, UInt8>(repeating: 0)
        return withUnsafeMutableBytes(of: &bytes) { raw in
            guard pread(file, raw.baseAddress, raw.count, 0) == raw.count else { return nil }
            let header = SpoolFormat.Header(UnsafeRawBufferPointer(raw))
            return header?.number == number ? header : nil
        }
    }

    private static func name(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits + ".seg"
    }

    private static func number(_ name: UnsafeRawBufferPointer) -> UInt64? {
        guard name.count > 20, name[20] == 0, name[16] == UInt8(ascii: "."), name[17] == UInt8(ascii: "s"),
            name[18] == UInt8(ascii: "e"), name[19] == UInt8(ascii: "g")
        else { return nil }
        var number: UInt64 = 0
        for byte in name[0..<16] {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): number = number << 4 | UInt64(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): number = number << 4 | UInt64(byte - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return number
    }
}
