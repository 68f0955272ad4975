/// Where something was written: a file and the place in it, printed as `file:line:column`.
public struct SourcePosition: Sendable, Hashable, CustomStringConvertible {
    /// Path as the user gave it, or a name such as `<gRPC>` when the text did not come from a file.
    public var file: String
    /// 1-based line.
    public var line: Int
    /// 1-based column, counted in Unicode scalars as editors do.
    public var column: Int

    /// Creates a position; `line` and `column` are 1-based.
    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// One line for people.
    public var description: String { "\(file):\(line):\(column)" }
}
