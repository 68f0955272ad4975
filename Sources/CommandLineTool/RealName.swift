import Glibc
import PolicyEngine
import PolicyModel

/// Names without symlinks, as the kernel reports them: `/bin/ls` is `/usr/bin/ls` where `/bin` is a symlink.
enum RealName {
    /// The path with its existing part resolved. Names below `/proc` stay: they depend on who asks.
    static func of(_ path: String) -> String {
        guard path.hasPrefix("/"), !path.hasPrefix("/proc/") else { return path }
        let isDirectory = path.count > 1 && path.hasSuffix("/")
        var existing = isDirectory ? String(path.dropLast()) : path
        var rest = ""
        while true {
            if let resolved = realpath(existing, nil) {
                defer { free(resolved) }
                let base = String(cString: resolved)
                let joined = base == "/" && !rest.isEmpty ? rest : base + rest
                return isDirectory && joined != "/" ? joined + "/" : joined
            }
            guard existing.count > 1, let slash = existing.lastIndex(of: "/") else { return path }
            rest = existing[slash...] + rest
            existing = slash == existing.startIndex ? "/" : String(existing[..<slash])
        }
    }

    /// Second names for what file, process and protocol rules are about.
    static func aliases(of policies: [Policy]) -> [PathAlias] {
        var names: Set<String> = []
        func add(_ subject: PathSubject, _ sources: [String]) {
            names.formUnion(sources)
            switch subject {
            case .path(let path), .directory(let path, _): names.insert(path)
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
        }
        return names.filter { $0.hasPrefix("/") && $0 != "/" }.sorted().compactMap {
            let canonical = of($0)
            return canonical == $0 ? nil : PathAlias(literal: $0, canonical: canonical)
        }
    }
}
