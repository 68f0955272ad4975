import PolicyModel

/// The patterns of the custom resource definitions, and what we ask beyond them.
enum FieldRules {
    /// PATH_MAX less the terminating zero.
    static let pathLimit = 4095

    /// A file or program path: absolute, at least two characters, no trailing slash. `nil` or what is wrong.
    static func pathProblem(_ path: String) -> String? {
        guard path.hasPrefix("/") else { return "must be an absolute path" }
        guard path.utf8.count > 1, !path.hasSuffix("/") else {
            return "must not end in '/' (a directory goes into matchDirectories)"
        }
        return commonProblem(path)
    }

    /// A directory: absolute, ends in a slash.
    static func directoryProblem(_ path: String) -> String? {
        guard path.hasPrefix("/") else { return "must be an absolute path" }
        guard path.hasSuffix("/") else { return "must end in '/'" }
        return commonProblem(path)
    }

    private static func commonProblem(_ path: String) -> String? {
        if path.utf8.count > pathLimit { return "is longer than \(pathLimit) bytes" }
        if path.utf8.contains(0) { return "must not contain a NUL byte" }
        if path.split(separator: "/").contains("..") { return "must not contain '..'" }
        return nil
    }

    /// Several slashes and `.` components mean the same object as none; rules are compared with the kernel's form.
    static func normalized(_ path: String) -> String {
        let parts = path.split(separator: "/").filter { $0 != "." }
        let joined = "/" + parts.joined(separator: "/")
        return path.hasSuffix("/") && joined != "/" ? joined + "/" : joined
    }

    /// An AppArmor glob. `nil` or what is wrong.
    static func patternProblem(_ pattern: String) -> String? {
        if pattern.isEmpty { return "must not be empty" }
        if pattern.utf8.count > pathLimit { return "is longer than \(pathLimit) bytes" }
        if pattern.utf8.contains(0) { return "must not contain a NUL byte" }
        var braces = 0
        var inClass = false
        var isEscaped = false
        for byte in pattern.utf8 {
            if isEscaped {
                isEscaped = false
                continue
            }
            switch byte {
            case UInt8(ascii: "\\"): isEscaped = true
            case UInt8(ascii: "["): inClass = true
            case UInt8(ascii: "]"): inClass = false
            case UInt8(ascii: "{") where !inClass: braces += 1
            case UInt8(ascii: "}") where !inClass:
                braces -= 1
                if braces < 0 { return "has a '}' without a '{'" }
            default: break
            }
        }
        if isEscaped { return "ends in a backslash" }
        if inClass { return "has a '[' that is not closed" }
        if braces > 0 { return "has a '{' that is not closed" }
        return nil
    }

    /// A DNS-1123 subdomain, as `metadata.name` must be.
    static func isSubdomain(_ name: String) -> Bool {
        guard !name.isEmpty, name.utf8.count <= 253 else { return false }
        return name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            guard let first = label.utf8.first, let last = label.utf8.last else { return false }
            func isAlphanumeric(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) }
            return isAlphanumeric(first) && isAlphanumeric(last)
                && label.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
        }
    }

    /// An IPv4 or IPv6 prefix. `nil` or what is wrong.
    static func prefixProblem(_ text: String) -> String? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let length = Int(parts[1]), length >= 0 else {
            return "must be an address and a prefix length"
        }
        if isIPv4(parts[0]) { return length <= 32 ? nil : "has a prefix length above 32" }
        if isIPv6(parts[0]) { return length <= 128 ? nil : "has a prefix length above 128" }
        return "is not an IPv4 or IPv6 address"
    }

    private static func isIPv4(_ text: Substring) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { UInt8($0) != nil && ($0 == "0" || !$0.hasPrefix("0")) && !$0.hasPrefix("+") }
    }

    private static func isIPv6(_ text: Substring) -> Bool {
        let halves = text.components(separatedByDoubleColon: ())
        guard halves.count <= 2 else { return false }
        var groups = 0
        for half in halves where !half.isEmpty {
            for group in half.split(separator: ":", omittingEmptySubsequences: false) {
                if group.contains(".") {
                    guard isIPv4(group) else { return false }
                    groups += 2
                    continue
                }
                guard (1...4).contains(group.utf8.count), UInt16(group, radix: 16) != nil, !group.hasPrefix("+") else {
                    return false
                }
                groups += 1
            }
        }
        return halves.count == 2 ? groups < 8 : groups == 8
    }
}

extension Substring {
    /// The parts around each `::`.
    fileprivate func components(separatedByDoubleColon _: Void) -> [Substring] {
        var parts: [Substring] = []
        var rest = self
        while let colon = rest.indices.first(where: { index in
            rest[index] == ":" && rest.index(after: index) < rest.endIndex && rest[rest.index(after: index)] == ":"
        }) {
            parts.append(rest[..<colon])
            rest = rest[rest.index(colon, offsetBy: 2)...]
        }
        return parts + [rest]
    }
}
