import PolicyModel

/// Which policies are for the node itself.
struct HostSelection {
    /// The node's labels.
    let labels: [String: String]

    init(host: String, nodeLabels: [String]) {
        var labels = ["kubernetes.io/hostname": host, "kubearmor.io/hostname": host]
        for label in nodeLabels {
            let parts = label.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            labels[String(parts[0])] = parts.count > 1 ? String(parts[1]) : ""
        }
        self.labels = labels
    }

    /// A host policy whose every label and expression the node satisfies. A host name may be `*`,
    /// or a list separated by commas.
    func selects(_ policy: Policy) -> Bool {
        guard policy.kind == .host else { return false }
        // A policy that names nobody is for nobody.
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
            switch expression.relation {
            case .isIn: labels[expression.key].map(expression.values.contains) ?? false
            case .isNotIn: !(labels[expression.key].map(expression.values.contains) ?? false)
            case .exists: labels[expression.key] != nil
            case .doesNotExist: labels[expression.key] == nil
            }
        }
    }
}
