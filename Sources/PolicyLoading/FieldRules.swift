import Glibc
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
        if path.hasSuffix("/."), normalized(path) == "/" { return "must name a file" }
        return commonProblem(path)
    }

    /// A directory: absolute, ends in a slash.
    static func directoryProblem(_ path: String) -> String? {
        guard path.hasPrefix("/") else { return "must be an absolute path" }
        guard path.hasSuffix("/") else { return "must end in '/'" }
        return commonProblem(path)
    }

    /// The last component of a program's path.
    static func nameProblem(_ name: String) -> String? {
        if name.isEmpty || name.contains("/") { return "must be a file name without '/'" }
        if name.utf8.contains(0) { return "must not contain a NUL byte" }
        if name == "." || name == ".." { return "must be a file name, not '\(name)'" }
        // NAME_MAX of limits.h.
        return name.utf8.count > 255 ? "is longer than 255 bytes" : nil
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
        return name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy(hasLabelForm)
    }

    /// A DNS-1123 label, as `metadata.namespace` must be.
    static func isLabel(_ name: String) -> Bool { name.utf8.count <= 63 && hasLabelForm(name[...]) }

    private static func hasLabelForm(_ label: Substring) -> Bool {
        guard let first = label.utf8.first, let last = label.utf8.last else { return false }
        func isAlphanumeric(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) }
        return isAlphanumeric(first) && isAlphanumeric(last)
            && label.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
    }

    /// A name that a DNS query can ask for (RFC 1035 2.3.4): labels of 1…63 bytes, 253 in all.
    static func isDomain(_ name: String) -> Bool {
        name.utf8.count <= 253
            && name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
                (1...63).contains(label.utf8.count) && label.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
            }
    }

    /// An IPv4 or IPv6 prefix. `nil` or what is wrong.
    static func prefixProblem(_ text: String) -> String? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, isNumber(parts[1]), let length = Int(parts[1]) else {
            return "must be an address and a prefix length"
        }
        var address = in6_addr()
        // A C string would end at a NUL byte.
        if !parts[0].utf8.contains(0) {
            if inet_pton(AF_INET, String(parts[0]), &address) == 1 {
                return length <= 32 ? nil : "has a prefix length above 32"
            }
            if inet_pton(AF_INET6, String(parts[0]), &address) == 1 {
                return length <= 128 ? nil : "has a prefix length above 128"
            }
        }
        return "is not an IPv4 or IPv6 address"
    }

    /// Decimal digits without a sign or leading zeros.
    static func isNumber(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) } && (text == "0" || !text.hasPrefix("0"))
    }

    /// A duration of Go's `time.ParseDuration`, which must not be shorter than the second that it is cut to.
    static func durationProblem(_ text: String) -> String? {
        guard let seconds = QuotaText.seconds(text) else { return "must be like 2h, 30m or 45s" }
        // Go's durations are 64-bit numbers of nanoseconds.
        return seconds < 1 ? "must be at least one second" : seconds > 9.2e9 ? "is longer than 292 years" : nil
    }
}
