import ControlProtocol
import Glibc
import PolicyFiles

/// What `-f` names: a file, a folder, or `-` for standard input.
package enum PolicySource {
    /// Longest document.
    package static let documentLimit = PolicyFolder.fileLimit

    /// The documents of all paths in order.
    package static func documents(at paths: [String]) throws(ToolFailure) -> [PolicyDocument] {
        var documents: [PolicyDocument] = []
        for path in paths {
            if path == "-" {
                documents.append(try document("<stdin>", descriptor: 0))
                continue
            }
            let files = PolicyFolder.contents(path).files
            if files.isEmpty { throw ToolFailure("\(path): there is no policy file in this folder") }
            for file in files { documents.append(try document(file)) }
        }
        return documents
    }

    private static func document(_ file: String) throws(ToolFailure) -> PolicyDocument {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else { throw .file(file, errno) }
        defer { close(descriptor) }
        return try document(file, descriptor: descriptor)
    }

    private static func document(_ name: String, descriptor: Int32) throws(ToolFailure) -> PolicyDocument {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw .file(name, errno) }
            if count == 0 { break }
            bytes += buffer[..<count]
            if bytes.count > documentLimit { throw ToolFailure("\(name): longer than \(documentLimit) bytes") }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw ToolFailure("\(name): not UTF-8 text") }
        return PolicyDocument(name: name, text: text)
    }
}
