/// How many bytes of a text an alert keeps. Longer texts are cut at a character boundary and the alert says `Truncated`.
public struct FieldLimits: Sendable, Hashable {
    /// Executables, files, working directories; PATH_MAX by default.
    public var path: Int
    /// Command lines.
    public var commandLine: Int
    /// `comm` and terminal names.
    public var name: Int

    /// Creates limits, in bytes before escaping.
    public init(path: Int = 4096, commandLine: Int = 8192, name: Int = 64) {
        self.path = path
        self.commandLine = commandLine
        self.name = name
    }
}
