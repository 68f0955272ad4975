import Glibc
import LinuxKernel

/// A small file of the front's, written whole or not at all.
enum SavedFile {
    /// Writes a text.
    ///
    /// - Parameter isLasting: comes back when it is on the disk.
    static func write(_ text: String, to path: String, isLasting: Bool = true) throws(WriteError) {
        let temporary = path + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw WriteError(path: temporary, errno: errno) }
        defer { close(descriptor) }
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard written > 0 else {
                let error = WriteError(path: temporary, errno: errno)
                unlink(temporary)
                throw error
            }
            bytes = bytes.dropFirst(written)
        }
        guard !isLasting || fsync(descriptor) == 0, rename(temporary, path) == 0 else {
            throw WriteError(path: path, errno: errno)
        }
    }

    /// The names in a directory.
    static func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// What is in a file, up to 1 MiB.
    static func contents(of path: String) -> [UInt8]? {
        try? PathOpening.open(path, flags: OpenFlags.readOnly | OpenFlags.noFollow).readAll(limit: 1 << 20)
    }

    /// A file that could not be written.
    struct WriteError: Error, CustomStringConvertible {
        let path: String
        let errno: Int32
        var description: String { "\(path): \(String(cString: strerror(errno)))" }
    }
}
