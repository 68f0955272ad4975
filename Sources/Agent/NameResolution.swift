import PolicyEngine

/// How front and worker talk about the real names of what rules name. The front has no right to look; the worker answers.
enum NameResolution {
    /// NUL-terminated strings, one after the other.
    static func encode(_ strings: [String]) -> [UInt8] { strings.flatMap { Array($0.utf8) + [0] } }

    /// Reads what `encode` or the worker wrote.
    static func decode(_ bytes: [UInt8]) -> [String] {
        bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Pairs of literal and canonical names, as the worker answers.
    static func aliases(_ bytes: [UInt8]) -> [PathAlias] {
        let names = decode(bytes)
        return stride(from: 0, to: names.count - names.count % 2, by: 2).map {
            PathAlias(literal: names[$0], canonical: names[$0 + 1])
        }
    }
}
