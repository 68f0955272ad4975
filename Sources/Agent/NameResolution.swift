import PolicyEngine
import PolicyModel

/// The texts of policies whose real names the worker is asked for: a rule on `/bin/ls` also means `/usr/bin/ls` where `/bin` is a
/// symlink. The front has no right to look; the worker answers.
enum NameResolution {
    /// Paths and directories (with trailing slash) of file and process rules and their sources, each once, sorted.
    static func names(in policies: [Policy]) -> [String] {
        var names: Set<String> = []
        func add(_ subject: PathSubject) {
            switch subject {
            case .path(let path): names.insert(path)
            case .directory(let path, _): names.insert(path)
            case .pattern(let pattern):
                let literal = MarkPrefix.literalDirectory(pattern)
                if literal != "/" { names.insert(literal) }
            case .execname: break
            }
        }
        for policy in policies {
            for rule in policy.process {
                add(rule.subject)
                names.formUnion(rule.sources)
            }
            for rule in policy.file {
                add(rule.subject)
                names.formUnion(rule.sources)
            }
            for rule in policy.protocols { names.formUnion(rule.sources) }
            for rule in policy.capabilities { names.formUnion(rule.sources) }
        }
        return names.filter { $0.hasPrefix("/") }.sorted()
    }

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

/// The part of a pattern before its first special character, up to and with the last slash.
enum MarkPrefix {
    static func literalDirectory(_ pattern: String) -> String {
        let end = pattern.firstIndex { "*?[{\\".contains($0) } ?? pattern.endIndex
        guard let slash = pattern[..<end].lastIndex(of: "/") else { return "/" }
        return String(pattern[...slash])
    }
}
