/// A sink could not be set up.
public struct SinkError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The system call.
    public var operation: String
    /// What it was about.
    public var path: String
    /// errno of the call.
    public var code: Int32

    /// Creates an error.
    public init(operation: String, path: String, code: Int32) {
        self.operation = operation
        self.path = path
        self.code = code
    }

    /// `open /var/log/alerts: errno 13`.
    public var description: String { "\(operation) \(path): errno \(code)" }
}
