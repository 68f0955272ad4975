import PolicyModel

@testable import PolicyLoading

/// What must hold of every input of the loader. FuzzTesting has a link to this file.
enum LoadingExercise {
    /// Loads the bytes; says what about the result must not be, or `nil`.
    static func violation(_ bytes: [UInt8]) -> String? {
        let result = PolicyDocumentLoader().load(bytes: bytes, file: "input")
        guard result.isValid == !result.policies.isEmpty else {
            return "valid without policies, or policies with errors"
        }
        for diagnostic in result.diagnostics {
            if diagnostic.position.line < 1 || diagnostic.position.column < 1 { return "no place: \(diagnostic)" }
            if diagnostic.message.isEmpty || diagnostic.message.utf8.count > 2_000 { return "no message, or a book" }
            if diagnostic.message.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
                return "a control character in a message"
            }
        }
        for policy in result.policies { if let problem = violation(policy) { return problem } }
        return nil
    }

    private static func violation(_ policy: Policy) -> String? {
        if policy.name.isEmpty || policy.name.contains("/") { return "a policy's name" }
        if let namespace = policy.namespace, namespace.contains("/") { return "a namespace" }
        let subjects = policy.process.map { ($0.subject, $0.sources) } + policy.file.map { ($0.subject, $0.sources) }
        for (subject, sources) in subjects {
            if !isGood(subject) { return "a subject: \(subject)" }
            if !sources.allSatisfy(isPath) { return "a source: \(sources)" }
        }
        let sources = policy.protocols.map(\.sources) + policy.dns.map(\.sources) + policy.capabilities.map(\.sources)
        if !sources.allSatisfy({ $0.allSatisfy(isPath) }) { return "a source" }
        for rule in policy.syscalls {
            if let path = rule.path, !isPath(path), !isDirectory(path) { return "a path of a system call: \(path)" }
            if !rule.sources.allSatisfy({ isPath($0.path) || isDirectory($0.path) }) { return "a caller" }
        }
        if policy.dns.contains(where: { $0.domain.isEmpty || $0.domain.hasPrefix(".") || $0.domain.hasSuffix(".") }) {
            return "a domain"
        }
        return nil
    }

    private static func isGood(_ subject: PathSubject) -> Bool {
        switch subject {
        case .path(let path): isPath(path)
        case .execname(let name): !name.isEmpty && !name.contains("/") && !name.utf8.contains(0)
        case .directory(let path, _): isDirectory(path)
        case .pattern(let pattern): !pattern.isEmpty && !pattern.utf8.contains(0)
        }
    }

    /// The kernel's form of a file's path: absolute, no empty, `.` or `..` components, no trailing slash.
    private static func isPath(_ path: String) -> Bool {
        guard path.utf8.first == UInt8(ascii: "/"), path.utf8.count > 1, path.utf8.count <= 4_095,
            !path.utf8.contains(0)
        else { return false }
        return path.utf8.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .allSatisfy { !$0.isEmpty && !$0.elementsEqual(".".utf8) && !$0.elementsEqual("..".utf8) }
    }

    private static func isDirectory(_ path: String) -> Bool {
        path == "/" || path.utf8.last == UInt8(ascii: "/") && isPath(String(path.dropLast()))
    }
}
