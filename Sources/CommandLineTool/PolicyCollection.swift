import ClientSupport
import PolicyLoading
import PolicyModel

/// The policies of paths in the agent's order: files by name, and a policy that is written twice counts once, in the place of
/// the first with the rules of the last.
struct PolicyCollection {
    /// What identifies a policy.
    private struct Key: Hashable {
        let kind: PolicyKind
        let namespace: String?
        let name: String
    }

    let policies: [Policy]

    /// Loads every file.
    ///
    /// - Throws: every problem of every file.
    init(at paths: [String]) throws(ToolFailure) {
        var order: [Key] = []
        var byKey: [Key: Policy] = [:]
        var problems: [String] = []
        for file in Set(paths.flatMap(PolicyFileReader.files)).sorted() {
            let result = PolicyFileReader.load(file)
            problems += result.diagnostics.filter { $0.severity == .error }.map(\.description)
            for policy in result.policies {
                let key = Key(kind: policy.kind, namespace: policy.namespace, name: policy.name)
                if byKey.updateValue(policy, forKey: key) == nil { order.append(key) }
            }
        }
        if !problems.isEmpty { throw ToolFailure(problems) }
        policies = order.compactMap { byKey[$0] }
    }
}
