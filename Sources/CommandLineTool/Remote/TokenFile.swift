import ClientSupport
import Glibc
import RPCTransport

/// The file in which a user's token is. A token on the command line would be everybody's on the machine (`/proc/PID/cmdline`).
struct TokenFile: Sendable {
    /// Environment variable that names one.
    static let variable = "PORTCULLIS_TOKEN_FILE"
    /// Relays take no longer field of a request.
    private static let longest = 16 << 10

    var path: String

    /// The token in it, without the end of the line. It is read anew for each connection: tokens live for minutes.
    func read() throws(ToolFailure) -> String {
        // A FIFO that nobody writes to would be waited for.
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw .file(path, errno) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .file(path, errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw ToolFailure("\(path): not a file with a token") }
        guard status.st_mode & (S_IROTH | S_IWOTH) == 0 else {
            throw ToolFailure("\(path): everybody can read or write this token (chmod o-rw)")
        }
        var bytes = [UInt8](repeating: 0, count: Self.longest + 1)
        var length = 0
        while length < bytes.count {
            let count = bytes[length...].withUnsafeMutableBytes { pread(file, $0.baseAddress, $0.count, off_t(length)) }
            if count < 0 { throw .file(path, errno) }
            if count == 0 { break }
            length += count
        }
        guard length <= Self.longest else { throw ToolFailure("\(path): longer than a token (16 KiB)") }
        let text = String(decoding: bytes[..<length], as: UTF8.self).trimmingWhitespace
        guard !text.isEmpty else { throw ToolFailure("\(path): there is no token in it") }
        guard BearerToken.isToken(text) else { throw ToolFailure("\(path): something else than one token is in it") }
        return text
    }
}

extension String {
    /// Without white space at its ends.
    fileprivate var trimmingWhitespace: String {
        var text = self[...]
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text.drop { $0.isWhitespace })
    }
}
