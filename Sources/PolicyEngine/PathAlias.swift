import PolicyModel

/// A second name for what a rule names, found by resolving symlinks on the host. Rules whose path, directory, pattern prefix
/// or source is `literal` — or lies under it, when it ends in `/` — also hold with `literal` replaced by `canonical`.
public struct PathAlias: Sendable, Hashable {
    /// As the rule has it.
    public var literal: String
    /// Without symlinks; ends in `/` exactly when `literal` does.
    public var canonical: String

    /// Creates an alias.
    public init(literal: String, canonical: String) {
        self.literal = literal
        self.canonical = canonical
    }

    /// The absolute names in policies that may have another one: paths, directories (with trailing slash) and the literal
    /// beginnings of patterns of file and process rules, paths of system call rules, and all sources; each once, sorted.
    public static func names(in policies: [Policy]) -> [String] {
        var names: Set<String> = []
        func add(_ subject: PathSubject, _ sources: [String]) {
            names.formUnion(sources)
            switch subject {
            case .path(let path): names.insert(path)
            case .directory(let path, _): names.insert(path)
            case .pattern(let pattern):
                let literal = pattern.prefix { !"*?[{\\".contains($0) }
                if let slash = literal.lastIndex(of: "/") { names.insert(String(literal[...slash])) }
            case .execname: break
            }
        }
        for policy in policies {
            for rule in policy.process { add(rule.subject, rule.sources) }
            for rule in policy.file { add(rule.subject, rule.sources) }
            for rule in policy.protocols { names.formUnion(rule.sources) }
            for rule in policy.dns { names.formUnion(rule.sources) }
            for rule in policy.capabilities { names.formUnion(rule.sources) }
            for rule in policy.syscalls {
                names.formUnion(rule.sources.map(\.path))
                if let path = rule.path { names.insert(path) }
            }
        }
        return names.filter { $0.hasPrefix("/") && $0 != "/" }.sorted()
    }
}
