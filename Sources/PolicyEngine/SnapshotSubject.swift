import PolicyModel

/// What the text of a subject is.
public enum SubjectKind: UInt8, Sendable {
    case path, execname, directory, recursiveDirectory, pattern
}

/// A process or file subject of a snapshot.
public struct SnapshotSubject {
    /// `.process` or `.file`.
    public var category: Category
    /// What the text is.
    public var kind: SubjectKind
    /// The text; directories end in `/`.
    public var text: UnsafeRawBufferPointer
    /// The rule's action.
    public var action: RuleAction
    /// The rule.
    public var rule: RuleID
    /// The rule has `fromSource`.
    public var isSourceBound: Bool
    /// The rule has `readOnly`.
    public var readOnly: Bool
}
