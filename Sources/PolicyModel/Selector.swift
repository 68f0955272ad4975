/// Whom a policy is for: labels that must be equal and expressions that must hold, all of them.
public struct Selector: Sendable, Hashable {
    /// `matchLabels`; sorted by key.
    public var labels: [Label]
    /// `matchExpressions`, in the order written.
    public var expressions: [Expression]

    /// Creates a selector; an empty one selects everything in the policy's scope.
    public init(labels: [Label] = [], expressions: [Expression] = []) {
        self.labels = labels
        self.expressions = expressions
    }

    /// One label.
    public struct Label: Sendable, Hashable {
        /// Label name.
        public var key: String
        /// Label value; `*` matches any value of `kubearmor.io/hostname`.
        public var value: String
        /// Creates a label.
        public init(key: String, value: String) {
            self.key = key
            self.value = value
        }
    }

    /// One entry of `matchExpressions`.
    public struct Expression: Sendable, Hashable {
        /// Label name, `namespace` or `label`.
        public var key: String
        /// How the key's value relates to `values`.
        public var relation: Relation
        /// Compared values.
        public var values: [String]
        /// Creates an expression.
        public init(key: String, relation: Relation, values: [String]) {
            self.key = key
            self.relation = relation
            self.values = values
        }
    }

    /// The operators of `matchExpressions`.
    public enum Relation: String, Sendable, Hashable, CaseIterable {
        /// The value is one of the listed ones.
        case isIn = "In"
        /// The value is none of the listed ones.
        case isNotIn = "NotIn"
        /// The key is present.
        case exists = "Exists"
        /// The key is absent.
        case doesNotExist = "DoesNotExist"
    }
}
