import Glibc

/// A log file and its predecessors `name.1` (the youngest) to `name.N`, all relative to a directory that was opened once,
/// so that replacing a parent directory later changes nothing.
public final class RotatingFile: Sendable {
    private let directory: Int32
    private let name: String
    private let kept: Int
    private let mode: mode_t

    /// Opens the directory of `path`.
    ///
    /// - Parameters:
    ///   - kept: number of predecessors to keep; 0 deletes a full file.
    ///   - mode: permissions of new files.
    public init(path: String, kept: Int = 5, mode: UInt32 = 0o600) throws(SinkError) {
        let bytes = Array(path.utf8)
        let slash = bytes.lastIndex(of: UInt8(ascii: "/"))
        let folder = slash.map { $0 == 0 ? "/" : String(decoding: bytes[..<$0], as: UTF8.self) } ?? "."
        name = slash.map { String(decoding: bytes[($0 + 1)...], as: UTF8.self) } ?? path
        guard !name.isEmpty, name != ".", name != ".." else {
            throw SinkError(operation: "open", path: path, code: EISDIR)
        }
        self.kept = max(0, kept)
        self.mode = mode
        directory = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if directory < 0 { throw SinkError(operation: "open", path: folder, code: errno) }
    }

    deinit { close(directory) }

    /// Opens the file for appending and creates it if need be; never follows a symbolic link and never waits for the
    /// reader of a FIFO. The caller owns the descriptor.
    public func open() throws(SinkError) -> Int32 {
        let flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
        let descriptor = openat(directory, name, flags, mode)
        if descriptor < 0 { throw SinkError(operation: "open", path: name, code: errno) }
        return descriptor
    }

    /// Moves the file and its predecessors one number up, deletes the oldest, opens a new file.
    public func rotate() throws(SinkError) -> Int32 {
        if kept == 0 {
            if unlinkat(directory, name, 0) != 0, errno != ENOENT {
                throw SinkError(operation: "unlink", path: name, code: errno)
            }
            return try open()
        }
        for number in stride(from: kept - 1, through: 0, by: -1) {
            let from = number == 0 ? name : "\(name).\(number)"
            if renameat(directory, from, directory, "\(name).\(number + 1)") != 0, errno != ENOENT {
                throw SinkError(operation: "rename", path: from, code: errno)
            }
        }
        return try open()
    }
}
