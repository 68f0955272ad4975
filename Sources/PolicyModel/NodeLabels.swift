/// Name and labels of a node, which decide what host policies are for it.
public struct NodeLabels: Sendable, Hashable {
    private let labels: [String: String]

    /// - Parameters:
    ///   - host: value of the labels `kubernetes.io/hostname` and `kubearmor.io/hostname`.
    ///   - further: labels besides these.
    public init(host: String, further: [String: String] = [:]) {
        labels = ["kubernetes.io/hostname": host, "kubearmor.io/hostname": host].merging(further) { $1 }
    }

    /// - Parameter further: labels as `key=value`.
    public init(host: String, further: [String]) {
        self.init(
            host: host,
            further: Dictionary(
                further.map { label in
                    let parts = label.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                    return (String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
                }, uniquingKeysWith: { $1 }))
    }

    /// Whether this is a host policy, or a network policy for nodes, whose every label and expression the node satisfies. A host name may be `*`, or a list
    /// separated by commas. A policy that names nobody is for nobody.
    public func select(_ policy: Policy) -> Bool {
        guard policy.selectsNodes else { return false }
        if policy.selector.labels.isEmpty && policy.selector.expressions.isEmpty { return false }
        for label in policy.selector.labels {
            guard let value = labels[label.key] else { return false }
            if label.key.hasSuffix("/hostname") {
                let names = label.value.split(separator: ",").map { $0.filter { $0 != " " } }
                if names.contains("*") || names.contains(value) { continue }
            }
            guard value == label.value else { return false }
        }
        return policy.selector.expressions.allSatisfy { expression in
            let value = labels[expression.key]
            let isListed = value.map(expression.values.contains) ?? false
            return switch expression.relation {
            case .isIn: isListed
            case .isNotIn: !isListed
            case .exists: value != nil
            case .doesNotExist: value == nil
            }
        }
    }
}
