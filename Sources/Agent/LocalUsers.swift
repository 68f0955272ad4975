import Foundation

/// Users by name, as configuration files may name them.
enum LocalUsers {
    /// The id of a user in a file in the form of passwd(5). No name service is asked: a static program could not load it.
    static func id(of name: String, inFile path: String = "/etc/passwd") -> UInt32? {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count == 7, fields[0] == name { return UInt32(fields[2]) }
        }
        return nil
    }
}
