import PolicyLoading
import PolicyModel

/// The policies the agent has: those of its policy files, and those applied over the socket. A file or document that does not
/// load never replaces one that did.
struct PolicyStore {
    /// Where a policy comes from.
    enum Origin: Hashable, Sendable {
        /// A file below a `--policies` path.
        case file(String)
        /// `portcullis apply`.
        case applied
    }

    /// What identifies a policy.
    struct Key: Hashable, Comparable, Sendable {
        var kind: PolicyKind
        var namespace: String
        var name: String

        init(_ policy: Policy) {
            kind = policy.kind
            namespace = policy.namespace ?? ""
            name = policy.name
        }

        init(kind: PolicyKind, namespace: String, name: String) {
            self.kind = kind
            self.namespace = namespace
            self.name = name
        }

        static func < (a: Key, b: Key) -> Bool {
            (a.kind.rawValue, a.namespace, a.name) < (b.kind.rawValue, b.namespace, b.name)
        }

        /// `kind namespace/name`, for people.
        var text: String { kind.rawValue + " " + (namespace.isEmpty ? name : "\(namespace)/\(name)") }
    }

    /// A policy and where it comes from.
    struct Entry: Sendable {
        var policy: Policy
        var origin: Origin
    }

    private var files: [String: [Policy]] = [:]
    private var applied: [Key: Policy] = [:]
    /// Those of workloads other than the host, by number. They come and go with their workload.
    var workloads: [UInt64: [Policy]] = [:]

    /// Every policy in list order: files by name, then applied ones by key. An applied policy replaces a file's of the same
    /// key, and among files the later one wins.
    var entries: [Entry] {
        var order: [Key] = []
        var byKey: [Key: Entry] = [:]
        func put(_ policy: Policy, _ origin: Origin) {
            let key = Key(policy)
            if byKey.updateValue(Entry(policy: policy, origin: origin), forKey: key) == nil { order.append(key) }
        }
        for (name, policies) in files.sorted(by: { $0.key < $1.key }) {
            for policy in policies { put(policy, .file(name)) }
        }
        for (_, policy) in applied.sorted(by: { $0.key < $1.key }) { put(policy, .applied) }
        return order.compactMap { byKey[$0] }
    }

    /// Those policies alone that are for containers.
    var ofContainers: PolicyStore {
        var result = PolicyStore()
        result.files = files.mapValues { $0.filter { !$0.selectsNodes && $0.kind != .host } }
        result.applied = applied.filter { !$0.value.selectsNodes && $0.value.kind != .host }
        return result
    }

    /// Whether both hold the same policies in the same order.
    func isEqual(to other: PolicyStore) -> Bool {
        policies == other.policies && workloads == other.workloads
    }

    /// The policies without their origins.
    var policies: [Policy] { entries.map(\.policy) }

    /// Takes over a complete scan of the policy files. A file with errors keeps what it had before.
    ///
    /// - Returns: every problem found.
    mutating func replaceFiles(_ scan: [String: LoadResult]) -> [Diagnostic] {
        var problems: [Diagnostic] = []
        var next: [String: [Policy]] = [:]
        for (name, result) in scan.sorted(by: { $0.key < $1.key }) {
            problems += result.diagnostics
            if result.diagnostics.contains(where: { $0.severity == .error }) {
                if let last = files[name] { next[name] = last }
            } else {
                next[name] = result.policies
            }
        }
        files = next
        return problems
    }

    /// Adds or replaces applied policies.
    mutating func apply(_ policies: [Policy]) {
        for policy in policies { applied[Key(policy)] = policy }
    }

    /// What a deletion came to.
    enum Deletion: Equatable {
        case deleted
        case absent
        /// The policy is in a file, which the agent does not write.
        case inFile(String)
    }

    /// Removes an applied policy.
    mutating func delete(_ key: Key) -> Deletion {
        if applied.removeValue(forKey: key) != nil { return .deleted }
        for (name, policies) in files where policies.contains(where: { Key($0) == key }) { return .inFile(name) }
        return .absent
    }
}
