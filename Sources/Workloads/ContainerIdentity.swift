import Glibc
import PolicyModel

/// Who a container is: what alerts show of it, and what decides which policies are for it.
public struct ContainerIdentity: Sendable, Hashable, Codable {
    /// As its runtime calls it; 64 hexadecimal digits for most.
    public var id: String
    /// Name of the container.
    public var name: String
    /// Image reference; empty when it is not known.
    public var image: String
    /// Namespace of its pod; `container_namespace` outside Kubernetes.
    public var namespace: String
    /// Its pod; empty outside Kubernetes.
    public var podName: String
    /// Labels.
    public var labels: [String: String]

    /// The namespace of containers that are in no pod, as KubeArmor has it.
    public static let plainNamespace = "container_namespace"

    /// Describes a container.
    public init(
        id: String, name: String, image: String = "", namespace: String = plainNamespace, podName: String = "",
        labels: [String: String] = [:]
    ) {
        self.id = id
        self.name = name
        self.image = image
        self.namespace = namespace
        self.podName = podName
        self.labels = labels
    }

    private static let nameKey = "kubearmor.io/container.name"

    /// Whether this is a container, cluster or network policy for this container.
    ///
    /// A container policy of a pod counts in its own namespace, outside Kubernetes in any. The label `kubearmor.io/container.name` is a list
    /// (`[a, b]`) or, outside Kubernetes, an extended regular expression (regex(7)) that is searched in the name. A container policy that names
    /// nobody is for nobody outside Kubernetes.
    public func isSelected(by policy: Policy) -> Bool {
        switch policy.kind {
        case .container:
            let isPlain = namespace == Self.plainNamespace
            guard isPlain || (policy.namespace ?? "default") == namespace else { return false }
            if isPlain, policy.selector.labels.isEmpty, policy.selector.expressions.isEmpty { return false }
            return policy.selector.labels.allSatisfy(hasLabel)
                && satisfies(policy.selector.expressions.filter { $0.key == "label" })
        case .cluster:
            for expression in policy.selector.expressions where expression.key == "namespace" {
                guard expression.values.contains(namespace) == (expression.relation == .isIn) else { return false }
            }
            return satisfies(policy.selector.expressions.filter { $0.key == "label" })
        case .network:
            // In every namespace: the kind has none.
            return !policy.selectsNodes && !policy.selector.labels.isEmpty
                && policy.selector.labels.allSatisfy(hasLabel)
                && satisfies(policy.selector.expressions.filter { $0.key == "label" })
        case .host: return false
        }
    }

    private func hasLabel(_ label: Selector.Label) -> Bool {
        guard label.key == Self.nameKey else { return labels[label.key] == label.value }
        if label.value.hasPrefix("["), label.value.hasSuffix("]") {
            let names = label.value.dropFirst().dropLast().split(separator: ",").map { name in
                String(name.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            }
            return names.isEmpty || names.contains(name)
        }
        return namespace == Self.plainNamespace ? matches(label.value) : label.value == name
    }

    private func matches(_ pattern: String) -> Bool {
        var compiled = regex_t()
        guard regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB) == 0 else { return false }
        defer { regfree(&compiled) }
        return regexec(&compiled, name, 0, nil, 0) == 0
    }

    /// Of `In` one listed label is enough, of `NotIn` there may be none.
    private func satisfies(_ expressions: [Selector.Expression]) -> Bool {
        expressions.allSatisfy { expression in
            let isListed = expression.values.contains { value in
                let parts = value.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                return parts.count == 2 && labels[parts[0]] == parts[1]
            }
            return isListed == (expression.relation == .isIn)
        }
    }
}
