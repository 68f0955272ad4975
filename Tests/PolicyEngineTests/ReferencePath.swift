/// The path arithmetic of docs/semantics.md on bytes.
enum ReferencePath {
    private static let slash = UInt8(ascii: "/")

    /// What follows the last slash.
    static func lastComponent(of path: [UInt8]) -> [UInt8] {
        guard let index = path.lastIndex(of: slash) else { return path }
        return Array(path[(index + 1)...])
    }

    /// The directories above a path, each with its trailing slash, the parent first, `/` last.
    static func ancestors(of path: [UInt8]) -> [[UInt8]] {
        path.indices.reversed().filter { path[$0] == slash }.map { Array(path[...$0]) }
    }

    /// The digits and the rest (with its slash) of `/proc/<digits>/…`; `nil` for other paths and an empty rest.
    static func processEntry(_ path: [UInt8]) -> (digits: [UInt8], rest: [UInt8])? {
        let prefix = Array("/proc/".utf8)
        guard path.starts(with: prefix) else { return nil }
        let digits = Array(path.dropFirst(prefix.count).prefix { $0 != slash })
        let rest = Array(path.dropFirst(prefix.count + digits.count))
        let isNumber = !digits.isEmpty && digits.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return isNumber && rest.count > 1 ? (digits, rest) : nil
    }
}
