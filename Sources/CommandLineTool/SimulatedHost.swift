import Glibc
import PolicyModel

/// The node that a simulation is about.
struct SimulatedHost {
    let name: String
    private let labels: [String: String]

    /// - Parameter labels: further node labels, in addition to the two with the host's name.
    init(name: String, labels: [FieldFilter]) {
        self.name = name
        var all = ["kubernetes.io/hostname": name, "kubearmor.io/hostname": name]
        for label in labels { all[label.field] = label.text }
        self.labels = all
    }

    /// The name of this machine.
    static var ownName: String {
        var buffer = [CChar](repeating: 0, count: 256)
        // One byte stays zero: gethostname(2) does not end a name that was cut.
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A host policy whose every label and expression the node satisfies; `*` stands for any host name.
    func isSelected(by policy: Policy) -> Bool {
        guard policy.kind == .host else { return false }
        return policy.selector.labels.allSatisfy { label in
            guard let value = labels[label.key] else { return false }
            return value == label.value || label.value == "*" && label.key.hasSuffix("/hostname")
        }
            && policy.selector.expressions.allSatisfy { expression in
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
