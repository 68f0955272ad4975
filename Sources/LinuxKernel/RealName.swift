import Glibc

/// A path's name without symlinks, also of one whose last parts do not exist yet: `/bin/new` is `/usr/bin/new` where `/bin` is a
/// symlink.
public enum RealName {
    /// - Parameters:
    ///   - path: absolute; a trailing slash stays.
    ///   - canonical: the real name of something that exists, else `nil`.
    /// - Returns: `nil` when no part of it exists.
    public static func of(_ path: [UInt8], canonical: ([UInt8]) -> [UInt8]?) -> [UInt8]? {
        let slash = UInt8(ascii: "/")
        let isDirectory = path.count > 1 && path.last == slash
        var existing = isDirectory ? Array(path.dropLast()) : path
        var rest: [UInt8] = []
        while !existing.isEmpty {
            if let name = canonical(existing) {
                let joined = (name == [slash] ? [] : name) + rest
                return joined.isEmpty ? [slash] : joined + (isDirectory ? [slash] : [])
            }
            guard let cut = existing.lastIndex(of: slash) else { return nil }
            rest = Array(existing[cut...]) + rest
            existing = cut == 0 && existing.count > 1 ? [slash] : Array(existing[..<cut])
        }
        return nil
    }

    /// The same as realpath(3) sees it for this process. Names below `/proc` stay: they depend on who asks.
    public static func of(_ path: String) -> String {
        guard path.hasPrefix("/"), !path.hasPrefix("/proc/") else { return path }
        let name = of(Array(path.utf8)) { existing in
            guard let resolved = realpath(String(decoding: existing, as: UTF8.self), nil) else { return nil }
            defer { free(resolved) }
            return Array(UnsafeRawBufferPointer(start: resolved, count: strlen(resolved)))
        }
        return name.map { String(decoding: $0, as: UTF8.self) } ?? path
    }
}
