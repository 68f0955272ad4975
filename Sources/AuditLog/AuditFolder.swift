import Glibc

/// What went wrong with a file of the log.
public struct AuditError: Error, CustomStringConvertible, Sendable {
    /// One line.
    public let description: String

    static func file(_ name: String, _ code: Int32) -> AuditError {
        AuditError(description: "\(name): \(String(cString: strerror(code)))")
    }
}

/// The files of a log, in a directory that is open: `audit-<number of the first line>.jsonl`, `audit.key`, `audit.pub`.
struct AuditFolder: Sendable {
    static let keyName = "audit.key"
    static let publicName = "audit.pub"
    private static let (prefix, suffix) = ("audit-", ".jsonl")

    /// Stays the caller's.
    let descriptor: Int32

    /// The name of the segment that begins with a line; sorts by number.
    static func segment(_ first: UInt64) -> String {
        let digits = String(first)
        return prefix + String(repeating: "0", count: 20 - digits.count) + digits + suffix
    }

    /// Segments, oldest first.
    func segments() throws(AuditError) -> [String] {
        let copy = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let stream = fdopendir(copy) else { throw .file("the audit log's directory", errno) }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix(Self.prefix), name.hasSuffix(Self.suffix) { names.append(name) }
        }
        return names.sorted()
    }

    /// Opens for appending; makes it if need be.
    func append(_ name: String) throws(AuditError) -> Int32 {
        let file = openat(descriptor, name, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw .file(name, errno) }
        return file
    }

    func remove(_ name: String) { unlinkat(descriptor, name, 0) }

    /// A whole file; `nil` when there is none.
    func contents(_ name: String, limit: Int = 64 << 20) throws(AuditError) -> [UInt8]? {
        let file = openat(descriptor, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw .file(name, errno)
        }
        defer { close(file) }
        var (bytes, buffer): ([UInt8], [UInt8]) = ([], [UInt8](repeating: 0, count: 256 << 10))
        while true {
            let count = read(file, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0, bytes.count + count <= limit else { throw .file(name, count < 0 ? errno : EFBIG) }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
        }
    }

    /// Writes a file that is not there yet.
    func create(_ name: String, _ contents: [UInt8], mode: mode_t) throws(AuditError) {
        let file = openat(descriptor, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
        guard file >= 0 else { throw .file(name, errno) }
        defer { close(file) }
        guard write(file, contents, contents.count) == contents.count, fsync(file) == 0 else {
            throw .file(name, errno)
        }
    }
}
