import Glibc
import PolicyFiles
import PolicyModel

/// Reads policy files and folders as the command line tool does.
public enum PolicyFileReader {
    /// The policy files of a path by name: a folder's `.yaml`, `.yml` and `.json` files at any depth, or the path itself.
    public static func files(at path: String) -> [String] { PolicyFolder.contents(path).files }

    /// Reads and loads one file. Whatever is wrong with it is a diagnostic: it is absent, no regular file, unreadable, too large.
    public static func load(_ file: String, limits: LoadingLimits = LoadingLimits()) -> LoadResult {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { return refused(file, String(cString: strerror(errno))) }
        defer { close(descriptor) }
        return load(descriptor: descriptor, file: file, limits: limits)
    }

    /// Reads and loads an open file.
    public static func load(descriptor: Int32, file: String, limits: LoadingLimits = LoadingLimits()) -> LoadResult {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return refused(file, String(cString: strerror(errno))) }
        guard status.st_mode & S_IFMT == S_IFREG else { return refused(file, "not a regular file") }
        guard status.st_size <= limits.fileBytes else {
            return refused(file, "the file is larger than \(limits.fileBytes) bytes")
        }
        var bytes: [UInt8] = []
        while bytes.count <= limits.fileBytes {
            let chunk = [UInt8](unsafeUninitializedCapacity: 65536) { buffer, count in
                count = max(0, read(descriptor, buffer.baseAddress, buffer.count))
            }
            if chunk.isEmpty { break }
            bytes += chunk
        }
        return PolicyDocumentLoader(limits: limits).load(bytes: bytes, file: file)
    }

    private static func refused(_ file: String, _ message: String) -> LoadResult {
        LoadResult(
            diagnostics: [Diagnostic(position: SourcePosition(file: file, line: 1, column: 1), message: message)])
    }
}
