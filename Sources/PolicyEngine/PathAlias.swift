/// A second name for what a rule names, found by resolving symlinks on the host. Rules whose path, directory, pattern prefix
/// or source is `literal` — or lies under it, when it ends in `/` — also hold with `literal` replaced by `canonical`.
public struct PathAlias: Sendable, Hashable {
    /// As the rule has it.
    public var literal: String
    /// Without symlinks; ends in `/` exactly when `literal` does.
    public var canonical: String

    /// Creates an alias.
    public init(literal: String, canonical: String) {
        self.literal = literal
        self.canonical = canonical
    }
}
