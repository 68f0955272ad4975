/// What a record is. Each kind is numbered on its own, from 1 and without gaps.
public enum SpoolKind: UInt8, Sendable, Hashable, CaseIterable {
    /// Something that a policy, a posture or a failure decided.
    case alert = 1
    /// Something that was seen.
    case log = 2
    /// What the agent says of itself.
    case message = 3

    /// Place in arrays of one entry a kind.
    var index: Int { Int(rawValue) - 1 }
}

/// A number for each kind.
public struct SpoolNumbers: Sendable, Hashable {
    private var values: InlineArray<3, UInt64>

    /// The same number for all kinds.
    public init(repeating value: UInt64 = 1) { values = InlineArray(repeating: value) }

    /// The number of a kind.
    public subscript(kind: SpoolKind) -> UInt64 {
        get { values[kind.index] }
        set { values[kind.index] = newValue }
    }

    /// Whether all numbers are equal.
    public static func == (a: SpoolNumbers, b: SpoolNumbers) -> Bool {
        SpoolKind.allCases.allSatisfy { a[$0] == b[$0] }
    }

    /// Hashes every number.
    public func hash(into hasher: inout Hasher) { for kind in SpoolKind.allCases { hasher.combine(self[kind]) } }
}
