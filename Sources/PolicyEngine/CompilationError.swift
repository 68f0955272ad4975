import PolicyModel

/// Why policies cannot be compiled, at the rule that is to blame.
public struct CompilationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The rule's place.
    public var position: SourcePosition
    /// What is wrong.
    public var message: String

    /// `file:line:column: message`.
    public var description: String { "\(position): \(message)" }
}
