import Glibc

/// Standard output and standard error, unbuffered, so that a follower sees every line at once.
package enum StandardStreams {
    /// Writes lines, each ended by a newline.
    ///
    /// - Throws: when standard output cannot be written to; a closed pipe ends the process by SIGPIPE as usual.
    package static func write(_ lines: [String]) throws(ToolFailure) {
        try write(bytes: lines.flatMap { Array($0.utf8) + [UInt8(ascii: "\n")] })
    }

    /// Writes one line.
    package static func write(_ line: String) throws(ToolFailure) { try write([line]) }

    /// Writes a line to standard error; there is nobody to tell when that fails.
    package static func writeError(_ line: String, program: String = "portcullis") {
        _ = put(Array("\(program): \(SafeText.line(line))\n".utf8), to: 2)
    }

    private static func write(bytes: [UInt8]) throws(ToolFailure) {
        let code = put(bytes, to: 1)
        if code != 0 { throw ToolFailure("standard output: \(systemMessage(code))") }
    }

    /// 0, or errno.
    private static func put(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
        var start = 0
        while start < bytes.count {
            let count = bytes[start...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                return errno
            }
            start += count
        }
        return 0
    }
}
