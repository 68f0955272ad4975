/// What a file or process rule names. Paths are absolute, without NUL and `..`, and at most PATH_MAX - 1 bytes long.
public enum PathSubject: Sendable, Hashable {
    /// Exactly this path; no trailing slash.
    case path(String)
    /// Any executed file with this last path component (process rules only).
    case execname(String)
    /// The children of a directory, or everything below it; ends in `/`.
    case directory(String, recursive: Bool)
    /// AppArmor glob: `*` `**` `?` `[a-c]` `{a,b}`.
    case pattern(String)
}

/// A rule on executing programs.
public struct ProcessRule: Sendable, Hashable {
    /// What is executed.
    public var subject: PathSubject
    /// Arguments with which the subject may always be run; empty when not written.
    public var allowedArguments: [String] = []
    /// Only the owner of the executed file may run it.
    public var ownerOnly: Bool = false
    /// `false`: not permitted with a controlling terminal; `true` and `nil` change nothing.
    public var terminal: Bool?
    /// Executables of the *parent* process for which the rule holds; empty: for all.
    public var sources: [String] = []
    /// Severity, tags, message, action.
    public var attributes: RuleAttributes
    /// Where the rule is written.
    public var position: SourcePosition

    /// Creates a rule without qualifiers.
    public init(subject: PathSubject, attributes: RuleAttributes, position: SourcePosition) {
        self.subject = subject
        self.attributes = attributes
        self.position = position
    }
}

/// A rule on opening and changing files.
public struct FileRule: Sendable, Hashable {
    /// What is opened; never `.execname`.
    public var subject: PathSubject
    /// Reading is permitted, writing is not (for Allow and Block alike).
    public var readOnly: Bool = false
    /// Only the file's owner may touch it (for Allow and Block alike).
    public var ownerOnly: Bool = false
    /// `false`: not permitted with a controlling terminal; `true` and `nil` change nothing.
    public var terminal: Bool?
    /// Executables of the opening process for which the rule holds; empty: for all.
    public var sources: [String] = []
    /// Severity, tags, message, action.
    public var attributes: RuleAttributes
    /// Where the rule is written.
    public var position: SourcePosition

    /// Creates a rule without qualifiers.
    public init(subject: PathSubject, attributes: RuleAttributes, position: SourcePosition) {
        self.subject = subject
        self.attributes = attributes
        self.position = position
    }
}
